#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

int64_t now_micros(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void format_time(int64_t micros, char text[TIME_TEXT])
{
    time_t seconds = micros / 1000000;
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t used = strftime(text, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + used, TIME_TEXT - used, ".%06dZ", (int)(micros % 1000000));
}

/* systemd gives each service an invocation id: without one this is a tool run by hand on the host,
 * and its lines go to standard output. */
static int is_service(void)
{
    return getenv("INVOCATION_ID") != NULL;
}

static void print_to(const char *device, const char *line)
{
    /* Opened for each line, because a login program may hang up the terminal at any time. */
    int file = open(device, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (file < 0)
        return;
    if (write(file, line, strlen(line)) > 0 && isatty(file))
        tcdrain(file);
    close(file);
}

/* "<4>" is the kernel's level "warning". The line break before the text puts it at the start of a
 * line even when a login prompt waits there. */
static void print_record(const char *text)
{
    char line[512];
    if (!is_service()) {
        puts(text);
        fflush(stdout);
        return;
    }
    snprintf(line, sizeof line, "<4>\n%s\n", text);
    print_to("/dev/kmsg", line);
}

void report(const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_record(text);
}

void progress(const char *format, ...)
{
    char text[400], line[420];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "\r\n%s\r\n", text);
    print_to("/dev/console", line);
}

void fail(const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "bcdr-demo: %s\n", text);
    if (is_service())
        report("BCDR-ERROR %s", text);
    exit(1);
}

void write_all(int file, const void *bytes, size_t length, const char *name)
{
    const char *next = bytes;
    while (length > 0) {
        ssize_t written = write(file, next, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            fail("cannot write %s: %s", name, strerror(errno));
        next += written;
        length -= (size_t)written;
    }
}
