/* Lines for the person or program that reads the machine's serial console, and the time format. */
#ifndef BCDR_CONSOLE_H
#define BCDR_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

/* Room for one RFC 3339 time in UTC with microseconds, with its final zero. */
#define TIME_TEXT 32

/* Microseconds since the Unix epoch. */
int64_t now_micros(void);
void format_time(int64_t micros, char text[TIME_TEXT]);

/* Prints one line that must arrive whole: the kernel's log writes a record without interruption. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints one line of progress; it may be cut in two by a kernel message, so nothing may depend on it. */
void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes all bytes or ends the program: a demo that cannot write has nothing true left to say. */
void write_all(int file, const void *bytes, size_t length, const char *name);

/* Prints a failure to the console and to standard error, and ends the program. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
