/* uri.h -- request targets (RFC 9112 3.2, RFC 3986) taken apart, and paths brought to one form. */
#ifndef CODEC_URI_H
#define CODEC_URI_H

#include "codec/h1_parse.h"

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

struct target {
    enum target_form form;
    weir_str         scheme;    /* absolute-form: http or https, as sent */
    weir_str         authority; /* absolute- and authority-form: host[:port] */
    weir_str         path;      /* with query: `/a?b`; "*"; of absolute-form also `?b` or empty */
};

/* 0 or WEIR_EBADTARGET. Refuses bytes outside RFC 3986 (controls, blanks, `"<>\`, non-ASCII), bad
 * percent escapes, a fragment, userinfo, an empty authority, another scheme, `http:host`,
 * `http:/\h`. asterisk-form only with OPTIONS, authority-form only (and always) with CONNECT, and
 * then with a port (RFC 9110 9.3.6). What browsers do not escape (the URL standard's percent-encode
 * sets) and no two readers disagree about passes as it is: `[`, `]` and `|` anywhere, and in a
 * query also `^`, backtick, `{` and `}`. A backslash is left raw in queries too, but some readers
 * take it for a slash: refused. */
int target_parse(weir_str text, enum method method, struct target *out, struct h1_fault *fault);

/* The same for a text behind which bytes up to `readable` may be read. */
int target_parse_in(weir_str text, const char *readable, enum method method, struct target *out,
                    struct h1_fault *fault);

/* RFC 9110 7.2, RFC 3986 3.2.2: host [":" port]; reg-name, IPv4, or IPv6 in brackets; no userinfo;
 * port 0 to 65535 or empty. Percent escapes are refused although the grammar has them: no name that
 * DNS knows needs one, and what `%2f` in a host means depends on whom you ask. The empty text is
 * not valid here; a Host field may be empty. */
bool authority_valid(weir_str text);

/* The same for a text behind which bytes up to `readable` may be read. */
bool authority_valid_in(weir_str text, const char *readable);

/* Brings the path of `target` (query excluded) to one form in `arena`: unreserved characters
 * unescaped, other escapes in upper case, dot segments removed, double slashes merged. 0, with
 * `*same` if nothing had to change (then `*out` is a slice of `target`). WEIR_EBADTARGET for what
 * two readers may understand in two ways: an escaped slash, backslash or NUL, a backslash, a dot
 * segment that has a parameter (`/..;x/`) or stands in a path with escaped dots, a path that climbs
 * above the root or does not begin with a slash. WEIR_ENOMEM. */
int path_canonical(weir_str target, struct arena *arena, weir_str *out, bool *same);

/* Is the canonical path `path` (escapes decoded on the fly) `prefix` or below it, by segments?
 * Parameters of segments (`/a;x/b`) do not count. `prefix` is written without escapes. */
bool path_under(weir_str path, weir_str prefix);

#endif
