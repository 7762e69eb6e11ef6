/* replay.h -- the body of a request, as each try of it reads it.
 *
 * It comes from the client once. What comes is kept, in memory up to one bound and then, where that
 * is allowed, in a temporary file up to another; a later try reads what is kept first and goes on
 * with the client. Beyond the bounds nothing is kept, and the request cannot be sent again: never
 * with a shortened body. */
#ifndef PROXY_REPLAY_H
#define PROXY_REPLAY_H

#include "http/http.h"

struct weir_session;

struct replay {
    char *bytes; /* malloc'ed: the first of the body */
    size_t kept, cap;
    int file; /* the next of it; -1: none was needed */
    uint64_t filed;
    weir_str last; /* what came behind that, until the next is read: not ours */
    char *piece;   /* what was read back from the file, from buf_get; NULL: nothing */
    uint64_t at;   /* how far this try has read */
    bool lent;     /* the last piece handed out is one that was kept */
    bool buffered; /* all of it was read before a peer was chosen */
};

/* The next piece of the body for this try; as http_read_body, which it stands for. What comes is
 * counted and held against max_body: WEIR_EBODYSIZE. */
int replay_read(struct weir_session *s, weir_str *piece, struct pace *pace);

/* Has this try read all of it? */
bool replay_ended(const struct weir_session *s);

/* Is what comes next not to be kept? Then it may pass without being read (and body_lost is to be
 * set). */
bool replay_passes(const struct weir_session *s);

/* For the next try: from the start. Only if replay_possible. */
void replay_rewind(struct weir_session *s);

/* Is every byte that has come still there? */
bool replay_possible(const struct weir_session *s);

/* There will be no further try: nothing more is kept, and what is kept goes if nobody reads it. */
void replay_stop(struct weir_session *s);

/* All of the body has been read, and shall stay in one piece as far as memory takes it. false: it
 * has been lost. */
bool replay_settle(struct weir_session *s);

/* The end of the request. */
void replay_done(struct weir_session *s);

#endif
