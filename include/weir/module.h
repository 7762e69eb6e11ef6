/* module.h -- reusable filters: a set of phases with a state of their own in each request.
 *
 * A service names the modules that all its requests pass through, from the client to the upstream:
 * those of `modules` before the proxy's own phase on the way up, in order; on the way down the
 * proxy's own phase first, then they in reverse order. So the first of them sees a request as it
 * came, and a response as it leaves. */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include <weir/peer.h>
#include <weir/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_module;

/* A module at work in one request. */
struct weir_use {
    const struct weir_module *module; /* which one it is */
    const void               *config; /* what the service or weir_use gave it */
    void                     *ctx;    /* its `ctx_size` zeroed bytes */
    bool                      off;    /* set by any phase: its part in this request is over */
    bool                      passes; /* set by a phase of heads: only for the bodies of this try
                                         and what trails them, which then go on as they are */
};

/* Name the phases you care about. They do what those of struct weir_proxy with the same names do,
 * and return the same. What only one can decide has no place here: upstream_peer, what a failed try
 * means, and the words of the error log are the proxy's own. The struct must outlive the server. */
struct weir_module {
    const char *name;     /* for reports */
    size_t      ctx_size; /* bytes for weir_use.ctx */

    /* NULL, or a static sentence that says what is wrong with this configuration. At set-up, and
     * weir_server_run then reports it; and by weir_use, where the request then fails with it. */
    const char *(*check)(const void *config);

    /* As the phases of struct weir_proxy with these names; `me` is the part that the module has in
     * this request. */
    int (*early_request_filter)(struct weir_session *s, struct weir_use *me);
    int (*request_filter)(struct weir_session *s, struct weir_use *me);
    int (*connected_to_upstream)(struct weir_session *s, struct weir_use *me,
                                 const struct weir_peer *peer, bool reused);
    int (*upstream_request_filter)(struct weir_session *s, struct weir_use *me,
                                   struct weir_head *req);
    int (*request_body_filter)(struct weir_session *s, struct weir_use *me, weir_str *chunk,
                               bool end);
    int (*request_trailer_filter)(struct weir_session *s, struct weir_use *me,
                                  struct weir_head *trailers);
    int (*upstream_response_filter)(struct weir_session *s, struct weir_use *me,
                                    struct weir_head *res);
    int (*response_filter)(struct weir_session *s, struct weir_use *me, struct weir_head *res);
    int (*response_body_filter)(struct weir_session *s, struct weir_use *me, weir_str *chunk,
                                bool end);
    int (*response_trailer_filter)(struct weir_session *s, struct weir_use *me,
                                   struct weir_head *trailers);

    /* All are told, the proxy first. Who comes behind one that has answered finds that in
     * weir_response. Also for a request whose head could not be read: then this is the first. */
    int (*fail_to_proxy)(struct weir_session *s, struct weir_use *me, int err);

    /* Always, once, last; `err` is 0 or what the request failed with. */
    void (*logging)(struct weir_session *s, struct weir_use *me, int err);
};

/* A module of a service. Both must outlive the server. */
struct weir_service_module {
    const struct weir_module *module; /* NULL ends the list */
    const void               *config; /* as the module wants it; NULL: all its defaults */
};

/* How many modules a service may have. */
enum { WEIR_MODULES = 16 };

/* For this request alone: one module more, behind those that are there already; its phases run from
 * the next one on. One that is in use is switched on again, with the new configuration. NULL
 * without memory or room for it: then the phase fails. Never blocks. */
struct weir_use *weir_use(struct weir_session *s, const struct weir_module *module,
                          const void *config);

/* The part that a module has in this request; NULL: none. Never blocks. */
struct weir_use *weir_used(struct weir_session *s, const struct weir_module *module);

/* ---- modules that are there ------------------------------------------------------------------ */

/* Compression of responses by gzip, br or zstd, as client and content want it (RFC 9110 12.5.3):
 * weights count, and among equals `prefer`. Not compressed are answers with another status than
 * those that carry a whole body, with Content-Encoding, with Cache-Control: no-transform, shorter
 * than `min_length` where the length is known, and of other types. Vary says so where it could have
 * been otherwise, a strong ETag becomes weak (in a 304 too, for who has that one). Without
 * Accept-Encoding nothing is compressed. */
extern const struct weir_module weir_compression;

/* Codings of content (RFC 9110 8.4.1): WEIR_GZIP, WEIR_BR (brotli), WEIR_ZSTD; WEIR_CODING_NONE
 * ends a list of them. */
enum weir_coding { WEIR_CODING_NONE, WEIR_GZIP, WEIR_BR, WEIR_ZSTD };

/* How many there are. */
enum { WEIR_CODINGS = 3 };

/* Of weir_compression. All zero (or no configuration): the defaults in brackets. */
struct weir_compression_config {
    enum weir_coding prefer[WEIR_CODINGS]; /* [zstd, br, gzip] those that are used; NONE ends it */
    unsigned           gzip_level;         /* 1 to 9 [6] */
    unsigned           br_level;           /* 1 to 11 [4] */
    unsigned           zstd_level;         /* 1 to 19 [3] */
    uint64_t           min_length;         /* [256] bytes; what is shorter stays as it is */
    const char *const *types;    /* ends with NULL; `text/` stands for all that begin so [text,
                                    JSON, JavaScript, XML, SVG, fonts that are not compressed] */
    bool               decompress; /* what came compressed is unpacked for clients that do not say
                                      that they take it */
    bool               only_decompress; /* and nothing is compressed */
};

/* Basic authentication (RFC 7617): 401 for who has no right. Who has one goes on without
 * Authorization. */
extern const struct weir_module weir_basic_auth;

/* Who may come in. */
struct weir_user {
    const char *name, *password; /* compared byte for byte */
};

/* Of weir_basic_auth. */
struct weir_basic_auth_config {
    const char             *realm; /* [restricted] as clients show it */
    const struct weir_user *users; /* ends with a NULL name */

    /* In place of, or beside `users`: may this one in? May block. Without NUL bytes behind them. */
    bool (*check)(struct weir_session *s, weir_str name, weir_str password);

    bool pass; /* Authorization goes upstream */
};

/* The name that weir_basic_auth has let in; absent: none. Never blocks. */
weir_str weir_basic_auth_user(struct weir_session *s);

/* gRPC-Web of clients becomes gRPC, for upstreams that speak that (docs/grpc.md). It has no
 * configuration. */
extern const struct weir_module weir_grpc_web;

/* Who may ask at all, by address: 403 for others. `deny` is looked at first. Clients of a Unix
 * socket may. */
extern const struct weir_module weir_access;

/* Of weir_access. */
struct weir_access_config {
    const char *const *allow; /* networks (`10.0.0.0/8`, `::1`), ends with NULL; NULL: everybody */
    const char *const *deny;  /* likewise; NULL: nobody */
};

/* Who is about to connect, before TLS and before any byte is read: see the field connection_filter
 * of struct weir_service. */
struct weir_connection {
    const char *client; /* `1.2.3.4:5678`, `[::1]:5678` or `unix:`, until the filter returns */

    /* Not to be used directly. */
    struct {
        const void *address; /* the client's */
    } internal;
};

/* Is the client's address in this network? False for one that cannot be read, and for Unix sockets.
 * Never blocks. */
bool weir_connection_within(const struct weir_connection *c, const char *network);

#ifdef __cplusplus
}
#endif

#endif
