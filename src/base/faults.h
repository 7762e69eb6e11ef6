/* faults.h -- what is wrong with a configuration: all of it, a line each, in the order in which it
 * was found. A value without memory of its own: the last ones may find no room, and are counted. */
#ifndef BASE_FAULTS_H
#define BASE_FAULTS_H

#include "base/base.h"

enum { FAULTS_TEXT = 4096, FAULT_LEN = 512 };

/* Zeroed: none. */
struct faults {
    unsigned count;           /* of all, also of those without room */
    unsigned len;             /* of `text` that is used */
    char text[FAULTS_TEXT];   /* each with a NUL behind; so it also reads as the first, or "" */
};

/* One more, cut at FAULT_LEN - 1 bytes. */
void faults_add(struct faults *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* All of `from` behind those of `f`. */
void faults_append(struct faults *f, const struct faults *from);

/* The one behind `at` (NULL: the first), or NULL; faults_left_out: how many come without words. */
const char *faults_next(const struct faults *f, const char *at);
unsigned    faults_left_out(const struct faults *f);

#endif
