#include "canary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* True when the line is exactly a time and a sequence; both are copied out. */
static int parse_line(const char *line, char time[TIME_TEXT], uint64_t *sequence)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.ddddddZ ";
    char end;
    unsigned long long number;
    for (size_t index = 0; index < sizeof shape - 1; index++) {
        int digit = line[index] >= '0' && line[index] <= '9';
        if (shape[index] == 'd' ? !digit : line[index] != shape[index])
            return 0;
    }
    if (line[28] < '1' || line[28] > '9' || sscanf(line + 28, "%llu%c", &number, &end) != 1)
        return 0;
    memcpy(time, line, 27);
    time[27] = 0;
    *sequence = number;
    return 1;
}

struct canary canary_read(const char *path)
{
    struct canary canary = {0};
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    FILE *file = fopen(path, "re");
    if (!file) {
        if (errno != ENOENT)
            fail("cannot read %s: %s", path, strerror(errno));
        return canary;
    }
    while ((length = getline(&line, &room, file)) > 0 && line[length - 1] == '\n') {
        uint64_t expected = canary.sequence + 1, sequence;
        line[length - 1] = 0;
        canary.end += length;
        if (strlen(line) + 1 != (size_t)length || !parse_line(line, canary.time, &sequence))
            sequence = 0;
        if (sequence != expected && canary.gap == 0)
            canary.gap = expected;
        /* A damaged line keeps its place in the count, so that one bad line is one gap. */
        canary.sequence = sequence ? sequence : expected;
    }
    if (ferror(file))
        fail("cannot read %s: %s", path, strerror(errno));
    free(line);
    fclose(file);
    return canary;
}

enum { BULK_FILES = 8, BULK_WORDS = 4 * 1024 * 1024 / 8, BULK_HEADER = 4, BULK_BLOCK = 8192 };
static const uint64_t BULK_MAGIC = 0x4b4c554252444342; /* "BCDRBULK" in little-endian order */

struct bulk {
    uint64_t words[BULK_BLOCK];
    uint64_t state;
};

/* xorshift64*: random enough that nothing compresses it, cheap enough for an emulated processor. */
static void bulk_grow(struct bulk *bulk)
{
    for (int index = 0; index < BULK_BLOCK; index++) {
        bulk->state ^= bulk->state >> 12;
        bulk->state ^= bulk->state << 25;
        bulk->state ^= bulk->state >> 27;
        bulk->words[index] = bulk->state * 0x2545F4914F6CDD1D;
    }
}

/* The header takes the place of the first words, so that files are whole blocks. */
static void bulk_start(struct bulk *bulk, uint64_t sequence, uint64_t seed)
{
    bulk->state = seed;
    bulk_grow(bulk);
    bulk->words[0] = BULK_MAGIC;
    bulk->words[1] = sequence;
    bulk->words[2] = seed;
    bulk->words[3] = BULK_WORDS;
}

static void sync_directory(const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || fsync(directory) != 0)
        fail("cannot sync %s: %s", path, strerror(errno));
    close(directory);
}

void bulk_write(uint64_t sequence)
{
    static struct bulk bulk;
    const char *draft = DATA_DIRECTORY "/bulk.new";
    char name[64];
    snprintf(name, sizeof name, DATA_DIRECTORY "/bulk.%u", (unsigned)(sequence % BULK_FILES));
    int file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        fail("cannot create %s: %s", draft, strerror(errno));
    bulk_start(&bulk, sequence, (uint64_t)now_micros() | 1);
    for (size_t done = 0; done < BULK_WORDS; done += BULK_BLOCK) {
        write_all(file, bulk.words, sizeof bulk.words, draft);
        bulk_grow(&bulk);
    }
    if (fsync(file) != 0)
        fail("cannot sync %s: %s", draft, strerror(errno));
    close(file);
    if (rename(draft, name) != 0)
        fail("cannot rename %s to %s: %s", draft, name, strerror(errno));
    sync_directory(DATA_DIRECTORY);
}

static int bulk_is_whole(int file)
{
    static struct bulk expected;
    static uint64_t found[BULK_BLOCK];
    for (size_t done = 0; done < BULK_WORDS; done += BULK_BLOCK) {
        if (read(file, found, sizeof found) != (ssize_t)sizeof found)
            return 0;
        if (done == 0)
            bulk_start(&expected, found[1], found[2]);
        else
            bulk_grow(&expected);
        if (memcmp(found, expected.words, sizeof found) != 0)
            return 0;
    }
    return read(file, found, 1) == 0;
}

const char *bulk_check(unsigned *files)
{
    static char name[64];
    *files = 0;
    for (unsigned slot = 0; slot < BULK_FILES; slot++) {
        snprintf(name, sizeof name, DATA_DIRECTORY "/bulk.%u", slot);
        int file = open(name, O_RDONLY | O_CLOEXEC);
        if (file < 0 && errno == ENOENT)
            continue;
        if (file < 0)
            fail("cannot read %s: %s", name, strerror(errno));
        int whole = bulk_is_whole(file);
        close(file);
        if (!whole)
            return name;
        *files += 1;
    }
    return NULL;
}
