/* error.h -- what can go wrong, in one table.
 *
 * Each row: name, number, word for logs (`why=`), where it arose, the status sent to a client if no
 * head was sent yet (0: nothing is sent, the connection ends), and a sentence. The rows are wider
 * than our lines, so that the table can be read as one. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <weir/str.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where an error arose. */
enum weir_source {
    WEIR_SRC_INTERNAL,   /* in the proxy itself */
    WEIR_SRC_DOWNSTREAM, /* at the client */
    WEIR_SRC_UPSTREAM,   /* at the upstream */
};

/* The table: calls X for each row. */
/* clang-format off */
#define WEIR_ERRORS(X) \
    /* ours */ \
    X(WEIR_EINTERNAL,    -1,  "internal",            INTERNAL,   500, "internal error") \
    X(WEIR_ENOMEM,       -2,  "memory",              INTERNAL,   503, "out of memory") \
    X(WEIR_ESTACKS,      -3,  "stacks",              INTERNAL,   503, "too many requests at once") \
    X(WEIR_ECANCELED,    -4,  "canceled",            INTERNAL,   503, "the request was cancelled") \
    X(WEIR_ESHUTDOWN,    -5,  "shutdown",            INTERNAL,   503, "the proxy is shutting down") \
    X(WEIR_EFILTER,      -6,  "filter",              INTERNAL,   500, "a filter failed") \
    X(WEIR_EFIELD,       -7,  "field",               INTERNAL,   500, "a filter set a field that cannot be sent") \
    X(WEIR_EINVALID,     -8,  "invalid",             INTERNAL,   500, "a call was used wrongly") \
    X(WEIR_EREQUESTTIME, -9,  "request_timeout",     INTERNAL,   504, "the request took too long") \
    X(WEIR_ETIMEOUT,     -10, "timeout",             INTERNAL,   504, "a call of a program waited for too long") \
    X(WEIR_ECLOSED,      -11, "closed",              INTERNAL,   500, "a channel is closed, and nothing is left in it") \
    X(WEIR_ELISTEN,      -12, "listen",              INTERNAL,   500, "an address cannot be listened on") \
    X(WEIR_EDESCRIPTORS, -13, "descriptors",         INTERNAL,   503, "the process has too many descriptors open") \
    /* the client */ \
    X(WEIR_EBADHEAD,     -20, "bad_head",            DOWNSTREAM, 400, "malformed request head") \
    X(WEIR_EBADTARGET,   -21, "bad_target",          DOWNSTREAM, 400, "malformed or ambiguous request target") \
    X(WEIR_EBADHOST,     -22, "bad_host",            DOWNSTREAM, 400, "missing, repeated or malformed Host") \
    X(WEIR_EBADLENGTH,   -23, "bad_length",          DOWNSTREAM, 400, "malformed or ambiguous body length") \
    X(WEIR_EBADBODY,     -24, "bad_body",            DOWNSTREAM, 400, "malformed request body") \
    X(WEIR_EBADCONN,     -25, "bad_connection",      DOWNSTREAM, 400, "Connection names a field that it must not remove") \
    X(WEIR_EMETHOD,      -26, "method",              DOWNSTREAM, 405, "method not allowed here") \
    X(WEIR_EHEADTIME,    -27, "header_timeout",      DOWNSTREAM, 408, "the request head took too long") \
    X(WEIR_EBODYTIME,    -28, "body_timeout",        DOWNSTREAM, 408, "the request body stalled") \
    X(WEIR_ESLOWBODY,    -29, "min_rate",            DOWNSTREAM, 408, "the request body was too slow") \
    X(WEIR_EBODYSIZE,    -30, "body_too_large",      DOWNSTREAM, 413, "the request body is too large") \
    X(WEIR_ETARGETSIZE,  -31, "target_too_long",     DOWNSTREAM, 414, "the request target is too long") \
    X(WEIR_EEXPECT,      -32, "expectation",         DOWNSTREAM, 417, "unknown expectation") \
    X(WEIR_EHEADSIZE,    -33, "head_too_large",      DOWNSTREAM, 431, "the request head is too large") \
    X(WEIR_EFIELDSIZE,   -34, "field_too_large",     DOWNSTREAM, 431, "a field of the request is too large") \
    X(WEIR_EFIELDCOUNT,  -35, "too_many_fields",     DOWNSTREAM, 431, "the request has too many fields") \
    X(WEIR_ECODING,      -36, "transfer_coding",     DOWNSTREAM, 501, "unknown transfer coding") \
    X(WEIR_EVERSION,     -37, "version",             DOWNSTREAM, 505, "HTTP version not supported") \
    X(WEIR_ECLIENTGONE,  -38, "client_gone",         DOWNSTREAM, 0,   "the client went away") \
    X(WEIR_ESENDTIME,    -39, "send_timeout",        DOWNSTREAM, 0,   "the client stopped reading") \
    X(WEIR_ESLOWSEND,    -40, "min_rate",            DOWNSTREAM, 0,   "the client read too slowly") \
    X(WEIR_EIDLETIME,    -41, "idle_timeout",        DOWNSTREAM, 0,   "the connection was idle for too long") \
    X(WEIR_ECLIENTS,     -42, "max_connections",     DOWNSTREAM, 503, "too many connections") \
    X(WEIR_EPERCLIENT,   -43, "max_per_client",      DOWNSTREAM, 503, "too many connections of one client") \
    X(WEIR_EH2PROTOCOL,  -44, "h2_protocol",         DOWNSTREAM, 0,   "the client broke the rules of HTTP/2") \
    X(WEIR_EH2ABUSE,     -45, "h2_abuse",            DOWNSTREAM, 0,   "the client made too much of frames that cost only us") \
    X(WEIR_ETUNNELTIME,  -46, "tunnel_timeout",      DOWNSTREAM, 0,   "the tunnel was idle for too long") \
    X(WEIR_ECONNECTTO,   -47, "connect_protocol",    DOWNSTREAM, 501, "CONNECT for a protocol that is not known here") \
    X(WEIR_ETLS,         -50, "tls_handshake",       DOWNSTREAM, 0,   "the client's TLS handshake failed") \
    X(WEIR_ETLSTIME,     -51, "tls_timeout",         DOWNSTREAM, 0,   "the client's TLS handshake took too long") \
    X(WEIR_EPLAINHTTP,   -52, "plain_http",          DOWNSTREAM, 400, "plain HTTP came to a port that speaks TLS") \
    /* the upstream */ \
    X(WEIR_ENOUPSTREAM,  -60, "no_upstream",         UPSTREAM,   503, "no upstream is available") \
    X(WEIR_EDNS,         -61, "dns",                 UPSTREAM,   503, "the upstream's name has no address") \
    X(WEIR_EREFUSED,     -62, "connect_refused",     UPSTREAM,   502, "the upstream refused the connection") \
    X(WEIR_ECONNECT,     -63, "connect_failed",      UPSTREAM,   502, "the upstream cannot be reached") \
    X(WEIR_ECONNTIME,    -64, "connect_timeout",     UPSTREAM,   504, "connecting to the upstream took too long") \
    X(WEIR_EUPCLOSED,    -65, "upstream_closed",     UPSTREAM,   502, "the upstream closed before a response head") \
    X(WEIR_EUPRESET,     -66, "upstream_reset",      UPSTREAM,   502, "the upstream reset the connection") \
    X(WEIR_EUPTIME,      -67, "upstream_timeout",    UPSTREAM,   504, "the upstream took too long to answer") \
    X(WEIR_EUPHEAD,      -68, "bad_response_head",   UPSTREAM,   502, "malformed response head") \
    X(WEIR_EUPHEADSIZE,  -69, "response_head_size",  UPSTREAM,   502, "the response head is too large") \
    X(WEIR_EUPLENGTH,    -70, "bad_response_length", UPSTREAM,   502, "malformed or ambiguous response length") \
    X(WEIR_EUPBODY,      -71, "bad_response_body",   UPSTREAM,   502, "malformed response body") \
    X(WEIR_EUPCUT,       -72, "response_cut_off",    UPSTREAM,   502, "the response body was cut off") \
    X(WEIR_EUPSWITCH,    -73, "unexpected_switch",   UPSTREAM,   502, "the upstream switched protocols unasked") \
    X(WEIR_EUPREFUSED,   -74, "stream_refused",      UPSTREAM,   503, "the upstream refused the stream, and has not processed it") \
    X(WEIR_EUPH2,        -75, "upstream_h2",         UPSTREAM,   502, "the upstream broke the rules of HTTP/2") \
    X(WEIR_EUPH1,        -76, "upstream_wants_h1",   UPSTREAM,   502, "the upstream wants HTTP/1.1") \
    X(WEIR_ETRYTIME,     -77, "try_timeout",         UPSTREAM,   504, "the upstream took too long for one try") \
    X(WEIR_EUPTLS,       -90, "upstream_tls",        UPSTREAM,   502, "the TLS handshake with the upstream failed") \
    X(WEIR_EUPTLSTIME,   -91, "upstream_tls_timeout", UPSTREAM,  504, "the TLS handshake with the upstream took too long") \
    X(WEIR_EUPCERT,      -92, "upstream_certificate", UPSTREAM,  502, "the upstream's certificate is not to be trusted")
/* clang-format on */

/* What calls return in place of a result; docs/errors.md is the same table. */
enum weir_error {
#define X(name, number, why, source, status, text) name = number,
    WEIR_ERRORS(X)
#undef X
};

/* Results: negative = an error above, 0 = go on, positive = an outcome that the call documents. */
enum {
    WEIR_OK       = 0, /* go on */
    WEIR_ANSWERED = 1, /* a phase has sent the response itself */
    WEIR_RETRY    = 2, /* a phase wants another try */
};

/* Of an error: its `why=` word, its sentence, where it arose, its default status. For a number that
 * is no error: "none", "no error", WEIR_SRC_INTERNAL, 0. None blocks; the strings are static. */
const char      *weir_error_why(int err);
const char      *weir_error_text(int err);
enum weir_source weir_error_source(int err);
int              weir_error_status(int err);

#ifdef __cplusplus
}
#endif

#endif
