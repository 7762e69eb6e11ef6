/* response.h -- a response as it comes in, piece by piece, checked strictly. */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include "common/message.h"

struct response {
    struct body body;
    struct framing framing;
    uint16_t status;
    bool to_head; /* it answers HEAD: no body, whatever the head says */
    bool in_body;
    bool close; /* the connection ends with it */
    uint32_t kept_len;
    char *kept;        /* a head that came in pieces; owned, NULL mostly */
    const char *wrong; /* once response_feed has returned -1 */
};

void response_begin(struct response *r, bool to_head);

/* Takes bytes off the front of `data`, up to the response's end; 1xx responses are passed over.
 * The number taken, or -1 with `wrong` set. Never blocks. */
ssize_t response_feed(struct response *r, const char *data, size_t len);

static inline bool response_done(const struct response *r)
{
    return r->in_body && r->body.done;
}

/* Frees what is kept. */
void response_end(struct response *r);

#endif
