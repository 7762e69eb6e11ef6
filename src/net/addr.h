/* addr.h -- addresses as values: small, comparable, printable. Nothing here blocks or allocates. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/arena.h"

enum addr_kind { ADDR_NONE, ADDR_V4, ADDR_V6, ADDR_UNIX };

struct addr {
    uint8_t     kind;
    uint16_t    port;   /* host order */
    uint32_t    scope;  /* IPv6 zone, 0: none */
    uint8_t     ip[16]; /* IPv4: the first four */
    const char *path;   /* ADDR_UNIX: NUL-terminated, owned by whoever made the address */
};

/* What the user writes (CONVENTIONS "Addresses"). */
struct addr_spec {
    enum { SPEC_ADDR, SPEC_ALL, SPEC_HOST } form;
    struct addr addr; /* SPEC_ADDR; SPEC_ALL and SPEC_HOST: the port alone */
    weir_str    host; /* SPEC_HOST: the name, a slice of the text */
};

/* `1.2.3.4:80`, `[::1]:80`, `:8080` (SPEC_ALL), `unix:/path`, `host:80`. NULL, or a static
 * sentence that says what is wrong (addr_no_port, ...). `text` must outlive the result: path and
 * host point into it. */
const char *addr_parse(const char *text, struct addr_spec *out);

/* What addr_parse returns for a text that lacks nothing but a port, so that callers can suggest
 * one. */
extern const char addr_no_port[];

bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_same_host(const struct addr *a, const struct addr *b); /* ports aside */

/* From and to the kernel's form. An IPv4-mapped IPv6 address becomes IPv4; a Unix address has
 * the path "": what accept and getsockname tell of paths would not outlive the call. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);
void      addr_from_sockaddr(struct addr *a, const struct sockaddr_storage *ss, socklen_t len);

/* The own address of a socket, also where the kernel chose it (port 0). Of a Unix socket only its
 * kind. ADDR_NONE: the kernel does not tell. */
void addr_of_socket(int fd, struct addr *out);

bool addr_is_loopback(const struct addr *a); /* 127.0.0.0/8 or ::1 */

enum { ADDR_TEXT = 128 };

/* `1.2.3.4:80`, `[::1]:80`, `unix:/path`; with a NUL behind; returns the slice. addr_host: without
 * port and brackets (X-Forwarded-For); of a Unix address the same as addr_print. */
weir_str addr_print(const struct addr *a, char buf[ADDR_TEXT]);
weir_str addr_host(const struct addr *a, char buf[ADDR_TEXT]);

/* The same in an arena, without the NUL; absent without memory. */
weir_str addr_print_in(struct arena *arena, const struct addr *a);
weir_str addr_host_in(struct arena *arena, const struct addr *a);

/* A network such as 10.0.0.0/8, or one address such as ::1. */
struct addr_net {
    struct addr base;
    uint8_t     bits;
};

/* NULL, or a static sentence that says what is wrong. */
const char *addr_net_parse(const char *text, struct addr_net *out);
bool        addr_net_has(const struct addr_net *net, const struct addr *a);

#endif
