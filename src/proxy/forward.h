/* forward.h -- what the two directions of a try, and their editors, know of each other. */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "proxy/session.h"

/* forward.c, the request: the next piece of its body, and what the filter makes of it (0; without
 * `pace` it may be that nothing was there; WEIR_ANSWERED, < 0). Blocks with `pace`. */
int forward_take(struct weir_session *s, weir_str *piece, struct pace *pace);

/* The time for which the client has been waited for since this was last asked is not the try's. */
void forward_pause(struct weir_session *s);

/* A piece to the upstream, the first with its head. One that takes no more is no error here, but
 * noted (s->upload_broken). Blocks. */
int forward_up(struct weir_session *s, const struct http_message *m, weir_str piece, bool end);

/* If all of it was sent, from now on the client may leave, where the service says so. */
void forward_sent(struct weir_session *s);

/* Does the client wait for word from us before it sends its body? */
bool forward_client_waits(const struct weir_session *s);

/* forward_response.c: the response, from its head to its end: 0, an outcome, < 0. And a piece of it
 * to the client, the first with its head. Both block. */
int forward_response(struct weir_session *s);
int forward_down(struct weir_session *s, weir_str piece, bool end);

/* forward_edited.c: what the first piece of the request begins, and the rest of the response, where
 * there are editors. Both block. */
int forward_edited_request(struct weir_session *s, const struct http_message *m);
int forward_edited_response(struct weir_session *s);

#endif
