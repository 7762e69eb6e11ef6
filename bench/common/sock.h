/* sock.h -- addresses of this host, and non-blocking sockets on them.
 *
 * Only 127.0.0.0/8, [::1] and Unix sockets are accepted: a load generator that can be pointed at
 * somebody else's machine by a typing mistake is a weapon. */
#ifndef BENCH_SOCK_H
#define BENCH_SOCK_H

#include <stddef.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage sa;
    socklen_t len;
};

enum { ADDRESS_TEXT = 128 }; /* room for any address in words */

/* "127.0.0.1:80", "[::1]:80" or "unix:/path". NULL, or what is wrong with it. */
const char *address_parse(const char *text, struct address *out);

/* A listening socket (backlog 4096, address reused) or -errno. The caller closes it. */
int sock_listen(const struct address *address);

/* The address a socket is bound to, in words; port 0 has become the real one. */
void sock_name(int fd, char text[static ADDRESS_TEXT]);

/* Starts to connect; the socket, or -errno. TCP_NODELAY is set. The caller closes it. */
int sock_connect(const struct address *address);

/* The same for a reader who takes little: with a receive buffer of about so many bytes, and the
 * small segments of a distant peer, for which the other side reserves less memory. */
int sock_connect_small(const struct address *address, int receive_buffer);

/* How an attempt to connect ended: 0 or -errno. To be asked once the socket is writable. */
int sock_result(int fd);

/* The next connection waiting at a listener, TCP_NODELAY set, or -errno (-EAGAIN: none). */
int sock_accept(int listener);

#endif
