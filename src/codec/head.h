/* head.h -- a request or response head in memory: what <weir/head.h> hands out.
 *
 * Text is slices into an arena (or static strings); the head owns nothing. Fields keep order and
 * spelling. The names that a proxy cares about carry a number (enum field_id), and a bitmap tells
 * at once which of them are there, so that asking for an absent one costs a test. */
#ifndef CODEC_HEAD_H
#define CODEC_HEAD_H

#include <weir/head.h>

#include "base/arena.h"

/* Known names; FIELD_OTHER is 0. X(id, "Spelling"), at most 63 of them. */
#define FIELD_NAMES(X) \
    X(ACCEPT, "Accept") \
    X(ACCEPT_ENCODING, "Accept-Encoding") \
    X(AGE, "Age") \
    X(AUTHORIZATION, "Authorization") \
    X(CACHE_CONTROL, "Cache-Control") \
    X(CONNECTION, "Connection") \
    X(CONTENT_ENCODING, "Content-Encoding") \
    X(CONTENT_LENGTH, "Content-Length") \
    X(CONTENT_RANGE, "Content-Range") \
    X(CONTENT_TYPE, "Content-Type") \
    X(COOKIE, "Cookie") \
    X(DATE, "Date") \
    X(ETAG, "ETag") \
    X(EXPECT, "Expect") \
    X(EXPIRES, "Expires") \
    X(FORWARDED, "Forwarded") \
    X(HOST, "Host") \
    X(HTTP2_SETTINGS, "HTTP2-Settings") \
    X(KEEP_ALIVE, "Keep-Alive") \
    X(LAST_MODIFIED, "Last-Modified") \
    X(LOCATION, "Location") \
    X(MAX_FORWARDS, "Max-Forwards") \
    X(PRAGMA, "Pragma") \
    X(PROXY_AUTHENTICATE, "Proxy-Authenticate") \
    X(PROXY_AUTHORIZATION, "Proxy-Authorization") \
    X(PROXY_CONNECTION, "Proxy-Connection") \
    X(RANGE, "Range") \
    X(REFERER, "Referer") \
    X(SERVER, "Server") \
    X(SET_COOKIE, "Set-Cookie") \
    X(TE, "TE") \
    X(TRAILER, "Trailer") \
    X(TRANSFER_ENCODING, "Transfer-Encoding") \
    X(UPGRADE, "Upgrade") \
    X(USER_AGENT, "User-Agent") \
    X(VARY, "Vary") \
    X(VIA, "Via") \
    X(X_FORWARDED_FOR, "X-Forwarded-For") \
    X(X_FORWARDED_HOST, "X-Forwarded-Host") \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto")

enum field_id {
    FIELD_OTHER,
#define X(id, name) FIELD_##id,
    FIELD_NAMES(X)
#undef X
    FIELD_COUNT
};

enum method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH,
};

/* Name and value as they are printed; the value is never absent, but may be empty. */
struct field {
    const char *name, *value;
    uint32_t    value_len;
    uint16_t    name_len;
    uint8_t     id;     /* enum field_id */
    bool        secret; /* it came in HTTP/2 as one that no hop may index (RFC 7541 6.2.3) */
};

enum { FIELD_NAME_MAX = UINT16_MAX };

struct weir_head {
    struct arena *arena;   /* where what is set later goes */
    struct field *fields;
    uint32_t      count, cap;
    uint64_t      present; /* bit `id`: a known field is there */
    uint16_t      status;  /* 0: a request */
    uint8_t       minor;   /* version HTTP/1.minor as sent; 1 for HTTP/2 */
    uint8_t       method_id;
    int           failed;  /* 0, or why the phase fails: WEIR_EFIELD, _ENOMEM, _EBADTARGET */
    weir_str      method;  /* as sent */
    weir_str      target;  /* what goes upstream: origin-form, "*", or authority-form of CONNECT */
    weir_str      authority; /* of absolute- or authority-form, else the value of Host; or empty */
    weir_str      reason;    /* of a response, may be empty */
    weir_str      path;      /* canonical, of the target whose text is at `path_of`; absent if it */
    const char   *path_of;   /* has none (kept by weir_path_under) */
};

/* An empty head that takes its memory from `arena`, with room for `cap` fields (0: made when
 * needed). Without memory it is marked failed, like any other change. */
void head_init(struct weir_head *h, struct arena *arena, unsigned cap);

/* Makes room for `more` fields. False without memory, and the head is marked. */
bool head_reserve(struct weir_head *h, uint32_t more);

enum field_id field_id_of(weir_str name);      /* FIELD_OTHER if unknown; without case */
weir_str      field_name_of(enum field_id id); /* the usual spelling */
enum method   method_of(weir_str method);      /* METHOD_OTHER if unknown; with case */

static inline bool head_has_id(const struct weir_head *h, enum field_id id)
{
    return h->present >> id & 1;
}

/* The first field with this id, or NULL; head_next_id: the next one behind `f` with the same name.
 * A field pointer is good until the head is changed. */
struct field *head_first_id(const struct weir_head *h, enum field_id id);
struct field *head_next_id(const struct weir_head *h, const struct field *f);
weir_str      head_get_id(const struct weir_head *h, enum field_id id);
unsigned      head_count_id(const struct weir_head *h, enum field_id id);

/* As the public calls, for a known name and a value that needs neither copy nor check and outlives
 * the head. */
void head_set_id(struct weir_head *h, enum field_id id, weir_str value);
void head_add_id(struct weir_head *h, enum field_id id, weir_str value);

/* The same for a value that stands behind the usual spelling of the name, as `Name: value`: HTTP/1
 * prints that in one piece. */
void head_add_line(struct weir_head *h, enum field_id id, weir_str line);
void head_del_id(struct weir_head *h, enum field_id id);

/* Adds without copy and check (parsers; values that are known to be clean). */
void head_add_raw(struct weir_head *h, weir_str name, weir_str value, enum field_id id);

/* `dst` becomes a copy of `src` in `arena` without hop-by-hop fields: those of RFC 9110 7.6.1,
 * HTTP2-Settings, and whatever Connection names, but for protected fields (see below): of those
 * Connection cannot rid us. The text is shared. What frames the body (Content-Length,
 * Transfer-Encoding, Trailer) goes as well: the connection that prints the head writes its own.
 * 0 or WEIR_ENOMEM. */
int head_copy_end_to_end(struct weir_head *dst, const struct weir_head *src, struct arena *arena);

/* May Connection name what it names? WEIR_EBADCONN for a malformed list, 10 names or more, or a
 * protected field: every name we know but those that belong to a hop, X-Forwarded-*, X-Real-IP. 0
 * if it may. */
int head_check_connection(const struct weir_head *h, const char **reason);

/* Does a comma-separated list field with this id hold `token` (RFC 9110 5.6.1; without case)? */
bool head_lists_token(const struct weir_head *h, enum field_id id, weir_str token);

/* All values of this list field as one, joined by ", " in `arena` (RFC 9110 5.3), without empty
 * ones; empty if there is none; absent without memory. */
weir_str head_join_id(const struct weir_head *h, enum field_id id, struct arena *arena);

/* Does a request ask for another protocol (RFC 9110 7.8): in HTTP/1.1, with `upgrade` in
 * Connection, and with an Upgrade that lists at least one protocol, all well-formed (name ["/"
 * version])? */
bool head_asks_upgrade(const struct weir_head *req);

/* Does a 101 switch to what the request offered: `upgrade` in Connection, and an Upgrade that lists
 * at least one protocol, each of which the request's Upgrade lists too (without case)? */
bool head_upgrade_agrees(const struct weir_head *req, const struct weir_head *res);

/* RFC 9110 6.5.1: may this field come behind the body? Not what frames, routes, authenticates or
 * describes the message. */
bool head_may_trail(weir_str name, enum field_id id);

/* RFC 9110 5.6.2 and 5.5: is `s` a token; is `s` a legal field value (no CTL but HTAB)? */
bool is_token(weir_str s);
bool is_field_value(weir_str s);

#endif
