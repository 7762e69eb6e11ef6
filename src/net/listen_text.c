/* listen_text.c -- the sockets of an address as users write it: `:port` is two of them, a name as
 * many as it has addresses. */
#include "net/listen.h"

#include <errno.h>
#include <stdio.h>

#include "net/resolve.h"
#include "runtime/sys.h"

enum { NAME_ADDRESSES = 16, SAME_PORT_TRIES = 16 };

struct opening {
    const char *text;
    int backlog;
    int (*take)(void *arg, int fd, const struct addr *at);
    void *arg;
    char *why;
    size_t size;
};

static int refuse(const struct opening *o, const struct addr *at, const char *step, int err)
{
    char text[ADDR_TEXT];

    addr_print(at, text);
    snprintf(o->why, o->size, "cannot listen on %s: %s (%s)", text, strerrordesc_np(-err), step);
    return WEIR_EINTERNAL;
}

/* Hands it over, with the address that it got. */
static int give(const struct opening *o, int fd, const struct addr *at)
{
    struct addr got = *at;

    if (at->kind != ADDR_UNIX)
        addr_of_socket(fd, &got);
    return o->take(o->arg, fd, &got);
}

static int open_one(const struct opening *o, const struct addr *at)
{
    const char *step;
    int fd = listen_open(at, o->backlog, &step);

    return fd < 0 ? refuse(o, at, step, fd) : give(o, fd, at);
}

/* A machine may lack a family, or have it without addresses. */
static bool no_family(int err)
{
    return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL || err == -EPROTONOSUPPORT;
}

/* IPv4 and IPv6 on the same port. If the kernel chooses it (port 0) it may be taken in the other
 * family: then both are tried again. */
static int open_all(const struct opening *o, uint16_t port)
{
    struct addr v4 = { .kind = ADDR_V4, .port = port }, v6 = { .kind = ADDR_V6, .port = port };
    struct addr got;
    const char *step;
    int fd4, fd6;

    for (unsigned i = 0;; i++) {
        fd4 = listen_open(&v4, o->backlog, &step);
        if (fd4 < 0 && !no_family(fd4))
            return refuse(o, &v4, step, fd4);
        if (fd4 >= 0) {
            addr_of_socket(fd4, &got);
            v6.port = got.port;
        }
        fd6 = listen_open(&v6, o->backlog, &step);
        if (fd6 >= 0 || no_family(fd6))
            break;
        if (fd4 >= 0)
            sys_close(fd4);
        if (port != 0 || fd6 != -EADDRINUSE || i == SAME_PORT_TRIES)
            return refuse(o, &v6, step, fd6);
    }
    if (fd4 < 0 && fd6 < 0)
        return refuse(o, &v4, step, fd4);
    if (fd4 >= 0 && give(o, fd4, &v4) < 0) {
        if (fd6 >= 0)
            sys_close(fd6);
        return WEIR_ENOMEM;
    }
    return fd6 >= 0 ? give(o, fd6, &v6) : 0;
}

static int open_host(const struct opening *o, const struct addr_spec *spec)
{
    struct addr found[NAME_ADDRESSES];
    const char *why;
    char host[256];
    int n;

    snprintf(host, sizeof(host), WEIR_FMT, WEIR_ARG(spec->host));
    n = resolve(host, spec->addr.port, found, NAME_ADDRESSES, &why);
    if (n < 0) {
        snprintf(o->why, o->size, "cannot listen on %s: %s", o->text, why);
        return WEIR_EINTERNAL;
    }
    for (int i = 0; i < n; i++)
        TRY(open_one(o, &found[i]));
    return 0;
}

int listen_text(const char *text, int backlog,
                int (*take)(void *arg, int fd, const struct addr *at), void *arg, char *why,
                size_t size)
{
    struct opening o = {
        .text = text, .backlog = backlog, .take = take, .arg = arg, .why = why, .size = size
    };
    struct addr_spec spec;
    const char *fault = addr_parse(text, &spec);

    if (fault != NULL) {
        snprintf(why, size, "cannot listen on %.200s: %s", text, fault);
        return WEIR_EINVALID;
    }
    snprintf(why, size, "cannot listen on %.200s: out of memory", text);
    switch (spec.form) {
    case SPEC_ADDR:
        return open_one(&o, &spec.addr);
    case SPEC_ALL:
        return open_all(&o, spec.addr.port);
    case SPEC_HOST:
        return open_host(&o, &spec);
    }
    return WEIR_EINTERNAL;
}
