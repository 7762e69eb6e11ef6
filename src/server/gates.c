/* gates.c -- the listening sockets of a service. */
#include <stdlib.h>
#include <unistd.h>

#include "net/listen.h"
#include "runtime/sys.h"
#include "server/front.h"

/* What the sockets of one address have in common. */
struct opening {
    struct front *front;
    const struct tls_server *tls;
    bool h2c;
};

static int add_gate(void *arg, int fd, const struct addr *at)
{
    const struct opening *o = arg;
    struct gate *g = malloc(sizeof(*g)), **end = &o->front->gates;

    if (g == NULL) {
        sys_close(fd);
        return WEIR_ENOMEM;
    }
    *g = (struct gate){
        .front = o->front,
        .tls = o->tls,
        .h2c = o->h2c,
        .fd = fd,
        .addr = *at,
    };
    while (*end != NULL)
        end = &(*end)->next;
    *end = g;
    return 0;
}

int gates_open(struct front *f, int backlog, char *why, size_t size)
{
    for (unsigned i = 0; i < WEIR_LISTENERS && f->config.listen[i].addr != NULL; i++) {
        struct opening o = {
            .front = f,
            .tls = f->tls[i],
            .h2c = f->tls[i] == NULL && (f->config.listen[i].alpn & WEIR_H2),
        };

        TRY(listen_text(f->config.listen[i].addr, backlog, add_gate, &o, why, size));
    }
    return 0;
}

void gates_close(struct front *f)
{
    for (struct gate *g = f->gates, *next; g != NULL; g = next) {
        next = g->next;
        if (g->addr.kind == ADDR_UNIX)
            unlink(g->addr.path);
        if (g->slot != NULL)
            listener_close(&g->slot);
        else
            sys_close(g->fd);
        free(g);
    }
    f->gates = NULL;
}
