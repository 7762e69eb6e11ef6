/* head.h -- heads of requests and responses: start line and fields.
 *
 * A head keeps its fields in the order and spelling in which they came. Names are compared without
 * case (RFC 9110 5.1). What these calls return lives as long as the session, unless said otherwise.
 * None of them blocks. NULL in the place of a head is one without fields: what is set in it is
 * lost.
 *
 * Calls that change a head return nothing: a failure leaves the head as it was and marks it, and
 * the phase that used it fails with WEIR_EFIELD (a name that is no token, CR, LF, NUL or another
 * control byte but HTAB in a value) or WEIR_ENOMEM.
 *
 * How a body is framed, and what belongs to one hop alone, is not a filter's to say:
 * Content-Length, Transfer-Encoding, Connection, Keep-Alive, Proxy-Connection, Upgrade, TE, Trailer
 * and HTTP2-Settings may be set and read, but the connection writes its own and never sends those
 * of the head. */
#ifndef WEIR_HEAD_H
#define WEIR_HEAD_H

#include <weir/str.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_head;

/* The status code of a response, 100 to 999; 0 for a request. */
int weir_status(const struct weir_head *h);

/* Of a request: the method as sent (case matters, RFC 9110 9.1), and the target as it goes
 * upstream: origin-form (`/path?query`), `*`, or `host:port` of CONNECT. Absent for a response. */
weir_str weir_method(const struct weir_head *h);
weir_str weir_target(const struct weir_head *h);

/* The value of the first field called `name`, without blanks around it; absent if there is none,
 * empty if it has no value. */
weir_str weir_head_get(const struct weir_head *h, weir_str name);

/* Is there at least one field called `name`? */
bool weir_head_has(const struct weir_head *h, weir_str name);

/* The first field called `name` gets `value`, any others go; without one, it is added at the end.
 * An absent value deletes. Both slices are copied; blanks around the value are left away. */
void weir_head_set(struct weir_head *h, weir_str name, weir_str value);

/* Adds a field at the end, beside others of the same name. An absent value adds nothing. */
void weir_head_add(struct weir_head *h, weir_str name, weir_str value);

/* Removes all fields called `name`. */
void weir_head_del(struct weir_head *h, weir_str name);

/* The field at position `i`, counted from 0 in the order of the message. Returns false past the
 * last one: `for (size_t i = 0; weir_head_at(h, i, &name, &value); i++)`. Either may be NULL. */
bool weir_head_at(const struct weir_head *h, size_t i, weir_str *name, weir_str *value);

/* Is the path of this request `prefix` itself or something below it? Compared is the decoded path
 * without dot segments, segment by segment, so that `/%6cogin`, `//login` and `/x/../login` are
 * under `/login`, and `/loginx` is not. The query does not count, nor do parameters of segments
 * (`/login;x`); case does. `prefix` is written without escapes; nothing is under a target that is
 * no path, nor under NULL.
 *
 * What is matched is what goes upstream: if the path was spelled in another way, the target of the
 * head becomes the plain spelling. A path that can be read in two ways (an escaped slash,
 * backslash, NUL or dot segment, `/..;x/`, more `..` than folders) is under nothing, and the phase
 * fails with WEIR_EBADTARGET. */
bool weir_path_under(const struct weir_head *h, const char *prefix);

#ifdef __cplusplus
}
#endif

/* The functions above, for C strings and slices. */
#define weir_get(h, name)        weir_head_get((h), WEIR(name))
#define weir_has(h, name)        weir_head_has((h), WEIR(name))
#define weir_set(h, name, value) weir_head_set((h), WEIR(name), WEIR(value))
#define weir_add(h, name, value) weir_head_add((h), WEIR(name), WEIR(value))
#define weir_del(h, name)        weir_head_del((h), WEIR(name))

#endif
