/* head_names.h -- the table of known field names, for those who look names up by themselves. */
#ifndef CODEC_HEAD_NAMES_H
#define CODEC_HEAD_NAMES_H

#include "codec/head.h"

/* A known name has a row of its own, told by its length and its first three bytes (the colon is one
 * of them if the name is shorter); letters count without case. What stands in the row is compared
 * then. */
struct field_row {
    char key[31]; /* the name in lower case, a colon, zeros; all zeros in an empty row */
    uint8_t id;   /* enum field_id */
};

enum { FIELD_ROWS = 128, FIELD_KEY_MAX = 30 /* longest name that fits with its colon */ };

extern const struct field_row field_rows[FIELD_ROWS];

/* The multiplier was found by trying: with it no two names meet. */
#define FIELD_MIX(low24)      ((uint32_t)(((low24) | 0x202020u) * 0xd4e441c3u) >> 25)
#define FIELD_ROW(len, low24) ((FIELD_MIX(low24) + (uint32_t)(len)) & (FIELD_ROWS - 1))

/* The row for the name of `len` bytes at the front of a line; four bytes are read. */
static inline const struct field_row *field_row_at(const char *line, size_t len)
{
    uint32_t word;

    memcpy(&word, line, sizeof(word));
    return &field_rows[FIELD_ROW(len, word & 0xffffff)];
}

/* The id of the name of `len` bytes at the front of a line, with a colon behind it. Up to 32 bytes
 * are read. */
enum field_id field_id_at(const char *line, size_t len);

/* The method whose at most seven letters are the bytes of `word`, the first one lowest. */
enum method method_of_word(uint64_t word);

#endif
