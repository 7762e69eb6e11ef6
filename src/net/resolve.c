/* resolve.c -- getaddrinfo, on a helper thread when a coroutine asks. */
#include "net/resolve.h"

#include <netdb.h>

#include "runtime/blocking.h"
#include "runtime/co.h"

struct question {
    const char *host;
    uint16_t port;
    struct addr *out;
    unsigned max, found;
    const char *why;
};

/* In our words where the system's are vague ("Name or service not known"). */
static const char *words(int err)
{
    switch (err) {
    case EAI_NONAME:
        return "no such name, or it has no address";
    case EAI_AGAIN:
        return "the name service does not answer";
    case EAI_FAIL:
        return "the name service failed";
    case EAI_MEMORY:
        return "out of memory";
    case EAI_SYSTEM:
        return "a system call failed";
    default:
        return gai_strerror(err);
    }
}

static void keep(struct question *q, const struct addrinfo *ai)
{
    struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
    struct addr *a = &q->out[q->found];

    if (q->found == q->max || ai->ai_addrlen > sizeof ss)
        return;
    memcpy(&ss, ai->ai_addr, ai->ai_addrlen);
    addr_from_sockaddr(a, &ss, ai->ai_addrlen);
    a->port = q->port;
    if (a->kind != ADDR_V4 && a->kind != ADDR_V6)
        return;
    for (unsigned i = 0; i < q->found; i++)
        if (addr_eq(&q->out[i], a))
            return;
    q->found++;
}

/* RFC 6761 6.3: that name is this machine, also where no file says so (a container without
 * /etc/hosts, a name service that has never heard of it). */
static bool keep_localhost(struct question *q)
{
    if (!weir_eq_nocase(weir_str_from(q->host), "localhost") || q->max == 0)
        return false;
    q->out[0] = (struct addr){ .kind = ADDR_V4, .port = q->port, .ip = { 127, 0, 0, 1 } };
    q->found = 1;
    return true;
}

static int ask(void *arg)
{
    /* Without AI_ADDRCONFIG: a host that has only its loopback asks for that. */
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct question *q = arg;
    struct addrinfo *list = NULL;
    int err = getaddrinfo(q->host, NULL, &hints, &list);

    if (err != 0) {
        if (!keep_localhost(q))
            q->why = words(err);
        return 0;
    }
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
        keep(q, ai);
    freeaddrinfo(list);
    return 0;
}

int resolve(const char *host, uint16_t port, struct addr *out, unsigned max, const char **why)
{
    struct question q = { .host = host, .port = port, .out = out, .max = max };
    int rc = co_inside() ? blocking_run(ask, &q) : ask(&q);

    if (rc < 0)
        q.why = "no thread to ask the name service";
    else if (q.found > 0)
        return (int)q.found;
    *why = q.why != NULL ? q.why : "it has no IPv4 or IPv6 address";
    return WEIR_EDNS;
}
