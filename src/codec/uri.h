/* uri.h -- request targets (RFC 9112 3.2, RFC 3986) taken apart, and paths brought to one form. */
#ifndef CODEC_URI_H
#define CODEC_URI_H

#include "codec/head.h"

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

struct target {
    enum target_form form;
    weir_str         scheme;    /* absolute-form: http or https, as sent */
    weir_str         authority; /* absolute- and authority-form: host[:port] */
    weir_str         path;      /* with query: `/a?b`; "/" if absolute-form had none; "*" */
};

/* 0 or WEIR_EBADTARGET. Refuses bytes outside RFC 3986 (controls, blanks, `"<>\^`{|}`, non-ASCII), bad percent
 * escapes, a fragment, userinfo, an empty authority, another scheme, `http:host`, `http:/\h`. asterisk-form only with OPTIONS, authority-form
 * only (and always) with CONNECT. */
int target_parse(weir_str text, enum method method, struct target *out, struct h1_fault *fault);

/* RFC 9110 7.2, RFC 3986 3.2.2: host [":" port]; reg-name, IPv4, or IPv6 in brackets; no userinfo; port 0 to 65535 or empty. An empty
 * value is legal only for Host. */
bool authority_valid(weir_str text);

/* Brings the path of `target` (query excluded) to one form in `arena`: unreserved characters unescaped, dot segments removed, double slashes
 * merged. 0; WEIR_EBADTARGET for an escaped slash, backslash or NUL, or a path that climbs above the root; WEIR_ENOMEM. `*same` tells that nothing changed. */
int path_canonical(weir_str target, struct arena *arena, weir_str *out, bool *same);

/* Is the canonical path `path` (escapes decoded on the fly) `prefix` or below it, by segments? */
bool path_under(weir_str path, weir_str prefix);

#endif
