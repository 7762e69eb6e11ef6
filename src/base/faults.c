/* faults.c -- texts behind each other in one piece of memory. */
#include "base/faults.h"

#include <stdarg.h>
#include <stdio.h>

static void put(struct faults *f, const char *text, size_t len)
{
    f->count++;
    if (len + 1 > sizeof f->text - f->len)
        return;
    memcpy(f->text + f->len, text, len);
    f->text[f->len + len] = '\0';
    f->len += (unsigned)len + 1;
}

void faults_add(struct faults *f, const char *fmt, ...)
{
    char line[FAULT_LEN];
    va_list ap;

    va_start(ap, fmt);
    if (vsnprintf(line, sizeof line, fmt, ap) < 0)
        line[0] = '\0';
    va_end(ap);
    put(f, line, strlen(line));
}

const char *faults_next(const struct faults *f, const char *at)
{
    const char *next = at == NULL ? f->text : at + strlen(at) + 1;

    return next < f->text + f->len ? next : NULL;
}

unsigned faults_left_out(const struct faults *f)
{
    unsigned there = 0;

    for (const char *at = NULL; (at = faults_next(f, at)) != NULL;)
        there++;
    return f->count - there;
}

void faults_append(struct faults *f, const struct faults *from)
{
    for (const char *at = NULL; (at = faults_next(from, at)) != NULL;)
        put(f, at, strlen(at));
    f->count += faults_left_out(from);
}
