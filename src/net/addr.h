/* addr.h -- addresses as values: small, comparable, printable. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"

enum addr_kind { ADDR_NONE, ADDR_V4, ADDR_V6, ADDR_UNIX };

struct addr {
    uint8_t     kind;
    uint16_t    port;     /* host order */
    uint32_t    scope;    /* IPv6 zone, 0: none */
    uint8_t     ip[16];   /* IPv4: the first four */
    const char *path;     /* ADDR_UNIX: NUL-terminated, owned by whoever made the address */
};

/* What the user writes (CONVENTIONS "Addresses"). */
struct addr_spec {
    enum { SPEC_ADDR, SPEC_ALL, SPEC_HOST } form;
    struct addr addr;   /* SPEC_ADDR; SPEC_ALL: the port alone */
    weir_str    host;   /* SPEC_HOST: the name, a slice of the text; addr.port has the port */
};

/* `1.2.3.4:80`, `[::1]:80`, `:8080` (SPEC_ALL), `unix:/path`, `host:80`. NULL, or a static sentence that says what is wrong ("no port", ...).
 * `text` must outlive the result (path and host point into it). */
const char *addr_parse(const char *text, struct addr_spec *out);

bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_same_host(const struct addr *a, const struct addr *b); /* ports aside */

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);
void      addr_from_sockaddr(struct addr *a, const struct sockaddr_storage *ss, socklen_t len); /* an IPv4-mapped IPv6 becomes IPv4 */

enum { ADDR_TEXT = 128 };

/* `1.2.3.4:80`, `[::1]:80`, `unix:/path`; with a NUL; returns the slice. addr_host: without port and brackets (X-Forwarded-For). */
weir_str addr_print(const struct addr *a, char buf[ADDR_TEXT]);
weir_str addr_host(const struct addr *a, char buf[ADDR_TEXT]);

/* A network such as 10.0.0.0/8 or ::1. */
struct addr_net {
    struct addr base;
    uint8_t     bits;
};
const char *addr_net_parse(const char *text, struct addr_net *out);
bool        addr_net_has(const struct addr_net *net, const struct addr *a);

#endif
