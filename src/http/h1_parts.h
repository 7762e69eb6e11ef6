/* h1_parts.h -- what the files of an HTTP/1 connection share. */
#ifndef HTTP_H1_PARTS_H
#define HTTP_H1_PARTS_H

#include "http/h1.h"

static inline struct h1_conn *h1_of(struct http_stream *st)
{
    return container_of(st, struct h1_conn, http);
}

/* h1_read.c */
int h1_read_head(struct http_stream *st, struct weir_head *out, enum method method,
                 struct deadline until);

/* What is left free in front of a response: with the room of its head, which is copied, enough for
 * the head that goes on with the body. */
enum { H1_LEAD = 512 };

/* Reads more into the buffer: > 0 bytes, 0 the peer has closed, < 0 an error. */
int h1_fill(struct h1_conn *c, struct pace *pace);

/* A copy of a head's text for the parser, which may read a little past it; NULL without memory. */
char *h1_keep(struct arena *arena, const char *from, size_t len);

/* h1_body.c */
int h1_read_body(struct http_stream *st, weir_str *piece, struct pace *pace);

int h1_body_cut(struct h1_conn *c); /* the peer closed amid a body, or thereby ended it */

/* h1_pass.c. Less than this is cheaper read and written. */
enum { H1_PASS_MIN = 32 * 1024 };
int h1_pass_body(struct http_stream *st, struct http_stream *to, struct pace *in,
                 struct pace *out, size_t *moved);

/* h1_write.c */
int h1_write(struct http_stream *st, const struct http_message *m, weir_str piece, bool end,
             struct pace *pace);

/* h1.c: nothing more can be expected of this connection; returns `err`, with words for it. */
int h1_fail(struct h1_conn *c, int err, const char *fault);

#endif
