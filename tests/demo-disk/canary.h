/* The canary file: one line per write, "<RFC 3339 time> <sequence>", sequences 1, 2, 3 … without a gap.
 * A line counts only when its line break is on the disk too. */
#ifndef BCDR_CANARY_H
#define BCDR_CANARY_H

#include "console.h"

#define DATA_DIRECTORY "/var/lib/bcdr"
#define CANARY_FILE DATA_DIRECTORY "/canary"

struct canary {
    uint64_t sequence;    /* of the last complete line; 0 when there is none */
    char time[TIME_TEXT]; /* of the last complete line */
    int64_t end;          /* file offset after the last complete line */
    uint64_t gap;         /* the first sequence that is not where it belongs; 0 when all are */
};

/* Reads the file at `path`; a file that does not exist is an empty one. */
struct canary canary_read(const char *path);

/* Bulk files: each holds data grown from a seed in its header, so a reader can tell a whole file. */
void bulk_write(uint64_t sequence);
/* Counts whole files; returns the name of the first damaged one, or NULL. */
const char *bulk_check(unsigned *files);

#endif
