/* bcdr-demo: what the demo's machine runs, in one small static program because an emulated processor
 * has no time for a shell ten times a second.
 *
 *   report            print the last canary on the disk and whether the canaries are without a gap
 *   probe             print whether the outside is reachable
 *   workload          append a canary every 100 ms and a bulk file every few seconds, all synced
 *   serve-clock PORT  on the host: tell the production machine the time
 *   check FILE        on the host: print the last canary of a file taken out of an exported image
 *
 * Lines on the serial console, each alone on its line, which the demo and the drills look for:
 *
 *   BCDR-CANARY last=<time> sequence=<n>   |  BCDR-CANARY none
 *   BCDR-CANARY-CHECK ok                   |  BCDR-CANARY-CHECK gap at <n>
 *   BCDR-BULK ok files=<n>                 |  BCDR-BULK damaged <path>
 *   BCDR-NETWORK-DETAIL card=… address=… target=… result=…
 *   BCDR-NETWORK reachable                 |  BCDR-NETWORK unreachable
 *   BCDR-CLOCK host offset-us=… round-trip-us=…  |  BCDR-CLOCK own      (only when reachable)
 *   BCDR-WORKLOAD <time> <n>               every 20 canaries; canary n is on the disk by then
 *   BCDR-ERROR <what>                      one of the above could not be done
 *
 * `report` only reads. The service order keeps `workload` behind it, so a booted clone shows its
 * canary as the replica held it. */
#include "canary.h"
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CANARY_MILLIS = 100, PROGRESS_EVERY = 20, BULK_EVERY = 40 };

static void report_canary(const char *path)
{
    struct canary canary = canary_read(path);
    if (canary.sequence == 0)
        report("BCDR-CANARY none");
    else
        report("BCDR-CANARY last=%s sequence=%llu", canary.time, (unsigned long long)canary.sequence);
    if (canary.gap != 0)
        report("BCDR-CANARY-CHECK gap at %llu", (unsigned long long)canary.gap);
    else
        report("BCDR-CANARY-CHECK ok");
}

static void report_bulk(void)
{
    unsigned files;
    const char *damaged = bulk_check(&files);
    if (damaged)
        report("BCDR-BULK damaged %s", damaged);
    else
        report("BCDR-BULK ok files=%u", files);
}

/* Opens the canary file behind its last complete line; what a power cut left of a line is cut off. */
static int open_canary(uint64_t *sequence)
{
    struct canary canary = canary_read(CANARY_FILE);
    int file = open(CANARY_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0 || ftruncate(file, canary.end) != 0 || fsync(file) != 0)
        fail("cannot open %s: %s", CANARY_FILE, strerror(errno));
    *sequence = canary.sequence;
    return file;
}

static void write_canary(int file, uint64_t sequence, char time[TIME_TEXT])
{
    char line[64];
    format_time(now_micros(), time);
    int length = snprintf(line, sizeof line, "%s %llu\n", time, (unsigned long long)sequence);
    write_all(file, line, (size_t)length, CANARY_FILE);
    if (fdatasync(file) != 0)
        fail("cannot sync %s: %s", CANARY_FILE, strerror(errno));
}

static void add_millis(struct timespec *time, long millis)
{
    time->tv_nsec += millis * 1000000;
    while (time->tv_nsec >= 1000000000) {
        time->tv_nsec -= 1000000000;
        time->tv_sec += 1;
    }
}

/* The service manager restarts nothing: a machine whose bulk writer failed must not look healthy. */
static void end_with_child(int signal_number)
{
    (void)signal_number;
    _exit(1);
}

/* Writes bulk files in a process of its own, so that a bulk write never delays a canary. */
static void start_bulk_writer(uint64_t sequence)
{
    struct timespec pause = {.tv_sec = CANARY_MILLIS * BULK_EVERY / 1000};
    signal(SIGCHLD, end_with_child);
    pid_t child = fork();
    if (child < 0)
        fail("cannot start the bulk writer: %s", strerror(errno));
    if (child > 0)
        return;
    for (uint64_t turn = sequence / BULK_EVERY;; turn++) {
        bulk_write(turn);
        nanosleep(&pause, NULL);
    }
}

static void run_workload(void)
{
    uint64_t sequence;
    char time[TIME_TEXT];
    struct timespec next, now;
    if (mkdir(DATA_DIRECTORY, 0755) != 0 && errno != EEXIST)
        fail("cannot create %s: %s", DATA_DIRECTORY, strerror(errno));
    int file = open_canary(&sequence);
    start_bulk_writer(sequence);
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        write_canary(file, ++sequence, time);
        if (sequence % PROGRESS_EVERY == 0)
            progress("BCDR-WORKLOAD %s %llu", time, (unsigned long long)sequence);
        add_millis(&next, CANARY_MILLIS);
        clock_gettime(CLOCK_MONOTONIC, &now);
        /* After a stall the rhythm restarts from now: a burst would only load the disk. */
        if (now.tv_sec > next.tv_sec || (now.tv_sec == next.tv_sec && now.tv_nsec > next.tv_nsec))
            next = now;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}

int main(int count, char **arguments)
{
    const char *command = count > 1 ? arguments[1] : "";
    if (count == 2 && strcmp(command, "report") == 0) {
        report_canary(CANARY_FILE);
        report_bulk();
    } else if (count == 2 && strcmp(command, "probe") == 0) {
        network_probe();
    } else if (count == 2 && strcmp(command, "workload") == 0) {
        run_workload();
    } else if (count == 3 && strcmp(command, "serve-clock") == 0) {
        serve_clock(atoi(arguments[2]));
    } else if (count == 3 && strcmp(command, "check") == 0) {
        report_canary(arguments[2]);
    } else {
        fprintf(stderr, "usage: bcdr-demo report | probe | workload | serve-clock PORT | check FILE\n");
        return 2;
    }
    return 0;
}
