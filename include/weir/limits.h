/* limits.h -- how often something happens: events counted by key.
 *
 *     static int request_filter(struct weir_session *s)
 *     {
 *         struct weir_rate *rate = weir_state(s);
 *         weir_str          user = weir_get(weir_request(s), "Api-Key");
 *
 *         if (weir_rate_observe(rate, user, 1) <= 10)
 *             return WEIR_OK;
 *         return weir_respond(s, 429, "slow down\n");
 *     }
 *
 * Counts are exact, and one for the process, whichever worker counts. A key may be any bytes: a
 * field, an address (weir_client_network: one user of IPv6 has many), or several things in one text
 * by weir_printf. Only a hash of it is kept, 128 bits by a secret of the process's own, so that no
 * client can make two keys meet.
 *
 * Windows are fixed: the first event of a key opens its window, in which all its events are
 * counted; when it is over, the next event opens the next one. So a limit holds in each window,
 * and across the end of one twice as many may come in the time of one; who minds takes half the
 * window and half the limit.
 *
 * Memory is bounded: WEIR_RATE_KEYS keys have a count of their own at the same time (45 bytes
 * each, taken as they come). A key keeps its count until its window is over, whatever others send.
 * Who comes when all places are taken is counted together with others in one of 65,536 shared
 * counts, until that window is over: then the result may be too high, never too low. So a flood of
 * made-up keys costs this memory for a while, frees nobody of his limit, and comes to refuse
 * newcomers only with WEIR_RATE_KEYS events and 65,536 times the limit in one window. When windows
 * are over, each that is opened lets up to 8 old ones go, and their memory goes back to the system,
 * but for some 7 MB at most. */
#ifndef WEIR_LIMITS_H
#define WEIR_LIMITS_H

#include <weir/str.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_server;

/* Counts of events by key. */
struct weir_rate;

/* How many keys a weir_rate counts each by itself. */
enum { WEIR_RATE_KEYS = 1 << 20 };

/* Makes one that counts in windows of this length, above 0. The server owns it, and frees it at its
 * end. NULL for another length or without memory: weir_server_run reports that. Before
 * weir_server_run only. Never blocks. */
struct weir_rate *weir_rate_new(struct weir_server *sv, weir_dur window);

/* Counts `n` events of this key: how many it has had in its window, these included; UINT_MAX for
 * that many and more. `n` of 0 only looks. An absent key is the empty one. Without `r` the answer
 * is `n`. Never blocks. From any thread, until weir_server_run returns. */
unsigned weir_rate_observe(struct weir_rate *r, weir_str key, unsigned n);

/* How long this key's window goes on, for Retry-After; 0: none is open. Never blocks. From any
 * thread, as weir_rate_observe. */
weir_dur weir_rate_left(struct weir_rate *r, weir_str key);

#ifdef __cplusplus
}
#endif

#endif
