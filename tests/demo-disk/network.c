#include "network.h"

#include "console.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define OWN_ADDRESS "10.0.2.15"
#define OUTSIDE_ADDRESS "10.0.2.2"
/* A driver may be loaded late on a busy host, and a machine whose card was missed has no address. */
enum { CARD_MILLISECONDS = 60000, PROBE_MILLISECONDS = 5000, CLOCK_EXCHANGES = 8 };

static int64_t monotonic_millis(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_millis(long millis)
{
    struct timespec pause = {.tv_sec = millis / 1000, .tv_nsec = millis % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static struct sockaddr address_of(const char *text, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr generic;
    inet_pton(AF_INET, text, &address.sin_addr);
    memcpy(&generic, &address, sizeof generic);
    return generic;
}

/* Finds a network card other than the loopback. */
static int find_card(char name[IFNAMSIZ])
{
    int found = 0;
    struct dirent *entry;
    DIR *cards = opendir("/sys/class/net");
    if (!cards)
        return 0;
    while (!found && (entry = readdir(cards)) != NULL) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lo") == 0)
            continue;
        snprintf(name, IFNAMSIZ, "%.15s", entry->d_name);
        found = 1;
    }
    closedir(cards);
    return found;
}

/* Address, netmask, up, default route: what a network manager would do, without waiting for one. */
static int configure_card(const char *name)
{
    struct ifreq request = {0};
    struct rtentry route = {0};
    int ok, handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (handle < 0)
        return 0;
    snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
    request.ifr_addr = address_of(OWN_ADDRESS, 0);
    ok = ioctl(handle, SIOCSIFADDR, &request) == 0;
    request.ifr_addr = address_of("255.255.255.0", 0);
    ok = ok && ioctl(handle, SIOCSIFNETMASK, &request) == 0;
    ok = ok && ioctl(handle, SIOCGIFFLAGS, &request) == 0;
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    ok = ok && ioctl(handle, SIOCSIFFLAGS, &request) == 0;
    route.rt_dst = address_of("0.0.0.0", 0);
    route.rt_genmask = address_of("0.0.0.0", 0);
    route.rt_gateway = address_of(OUTSIDE_ADDRESS, 0);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    ok = ok && (ioctl(handle, SIOCADDRT, &route) == 0 || errno == EEXIST);
    close(handle);
    return ok;
}

/* Connects within the time left. Returns the socket, or -1 with errno set. */
static int connect_within(int port, int64_t deadline)
{
    struct sockaddr address = address_of(OUTSIDE_ADDRESS, port);
    int error = 0, handle = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof error;
    if (handle < 0)
        return -1;
    if (connect(handle, &address, sizeof address) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            struct pollfd ready = {.fd = handle, .events = POLLOUT};
            int64_t left = deadline - monotonic_millis();
            if (poll(&ready, 1, left > 0 ? (int)left : 0) == 1)
                getsockopt(handle, SOL_SOCKET, SO_ERROR, &error, &length);
            else
                error = ETIMEDOUT;
        }
    }
    if (error == 0)
        return handle;
    close(handle);
    errno = error;
    return -1;
}

/* One question, one answer. Returns the host's time in microseconds, or -1. */
static int64_t ask_clock(int handle)
{
    char answer[32];
    size_t used = 0;
    if (send(handle, "?", 1, MSG_NOSIGNAL) != 1)
        return -1;
    while (used < sizeof answer - 1) {
        struct pollfd ready = {.fd = handle, .events = POLLIN};
        ssize_t count;
        if (poll(&ready, 1, 1000) != 1 || (count = read(handle, answer + used, sizeof answer - 1 - used)) <= 0)
            return -1;
        used += (size_t)count;
        answer[used] = 0;
        if (answer[used - 1] == '\n')
            return strtoll(answer, NULL, 10);
    }
    return -1;
}

/* Takes over the host's time. An emulated machine starts with a clock that knows whole seconds only,
 * too coarse to compare a canary with the time of a recovery point. The quickest exchange is used. */
static void take_over_clock(int handle)
{
    int64_t best_offset = 0, best_trip = -1;
    for (int exchange = 0; exchange < CLOCK_EXCHANGES; exchange++) {
        int64_t asked = now_micros(), answer = ask_clock(handle), heard = now_micros();
        if (answer <= 0)
            break;
        if (best_trip < 0 || heard - asked < best_trip) {
            best_trip = heard - asked;
            best_offset = answer - (asked + best_trip / 2);
        }
    }
    if (best_trip < 0) {
        report("BCDR-CLOCK own");
        return;
    }
    int64_t right = now_micros() + best_offset;
    struct timeval time = {.tv_sec = right / 1000000, .tv_usec = right % 1000000};
    if (settimeofday(&time, NULL) != 0)
        fail("cannot set the clock: %s", strerror(errno));
    report("BCDR-CLOCK host offset-us=%lld round-trip-us=%lld", (long long)best_offset, (long long)best_trip);
}

static int probe_port(void)
{
    char line[2048], *option;
    FILE *file = fopen("/proc/cmdline", "re");
    int port = DEFAULT_PROBE_PORT;
    if (file && fgets(line, sizeof line, file) && (option = strstr(line, "bcdr.probe=")) != NULL)
        port = atoi(option + strlen("bcdr.probe="));
    if (file)
        fclose(file);
    if (port < 1 || port > 65535)
        fail("bcdr.probe on the kernel command line is not a port");
    return port;
}

void network_probe(void)
{
    char card[IFNAMSIZ] = "none";
    const char *reason = "no network card";
    int port = probe_port(), handle = -1, refused = 0, found;
    int64_t deadline = monotonic_millis() + CARD_MILLISECONDS;
    while (!(found = find_card(card)) && monotonic_millis() < deadline)
        pause_millis(100);
    deadline = monotonic_millis() + PROBE_MILLISECONDS;
    if (found && !configure_card(card)) {
        reason = strerror(errno);
    } else if (found) {
        /* A refusal is final; other errors may only mean that the link is still coming up. */
        do {
            handle = connect_within(port, deadline);
            refused = handle < 0 && errno == ECONNREFUSED;
            reason = handle >= 0 ? "connected" : strerror(errno);
            if (handle < 0 && !refused)
                pause_millis(200);
        } while (handle < 0 && !refused && monotonic_millis() < deadline);
    }
    report("BCDR-NETWORK-DETAIL card=%s address=%s target=%s:%d result=%s", card, found ? OWN_ADDRESS : "none",
           OUTSIDE_ADDRESS, port, reason);
    report(handle >= 0 ? "BCDR-NETWORK reachable" : "BCDR-NETWORK unreachable");
    if (handle >= 0) {
        take_over_clock(handle);
        close(handle);
    }
}

static void answer_visitor(int visitor)
{
    /* A silent visitor must not keep the next one waiting for ever. */
    struct timeval patience = {.tv_sec = 2};
    char question, answer[32];
    setsockopt(visitor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (int count = 0; count < 100 && read(visitor, &question, 1) == 1; count++) {
        int length = snprintf(answer, sizeof answer, "%lld\n", (long long)now_micros());
        if (send(visitor, answer, (size_t)length, MSG_NOSIGNAL) != length)
            return;
    }
}

void serve_clock(int port)
{
    struct sockaddr address = address_of("127.0.0.1", port);
    int yes = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0)
        fail("cannot open a socket: %s", strerror(errno));
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, &address, sizeof address) != 0 || listen(server, 8) != 0)
        fail("cannot listen on 127.0.0.1:%d: %s; stop whatever uses this port", port, strerror(errno));
    printf("clock on 127.0.0.1:%d\n", port);
    fflush(stdout);
    for (;;) {
        int visitor = accept(server, NULL, NULL);
        if (visitor < 0 && errno != EINTR && errno != ECONNABORTED)
            fail("cannot accept a visitor: %s", strerror(errno));
        if (visitor < 0)
            continue;
        answer_visitor(visitor);
        close(visitor);
    }
}
