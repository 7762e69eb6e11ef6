/* tcp_proxy.c -- without HTTP: connections to 127.0.0.1:7000 are continued to 127.0.0.1:7001. Each
 * direction ends by itself, as TCP lets it; if one fails, or is silent for an hour, both end.
 *
 *     cc tcp_proxy.c -o tcp_proxy $(pkg-config --cflags --libs weir)
 *     ./tcp_proxy */
#include <weir/weir.h>

#define SILENCE (3600 * WEIR_SEC)

struct direction {
    struct weir_stream *from, *to;
};

static int copy(void *arg)
{
    struct direction *d = arg;
    char              buf[16384];
    ptrdiff_t         n;
    int               rc = 0;

    while (rc == 0 && (n = weir_stream_read(d->from, buf, sizeof buf, SILENCE)) != 0)
        rc = n < 0 ? (int)n : weir_stream_write(d->to, buf, (size_t)n, 60 * WEIR_SEC);
    return rc == 0 ? weir_stream_finish(d->to) : rc;
}

static void serve(void *arg)
{
    struct weir_stream *client = arg, *server;
    struct weir_scope   scope;
    int                 rc = weir_connect("127.0.0.1:7001", 5 * WEIR_SEC, &server);

    if (rc == 0) {
        struct direction up = { client, server }, down = { server, client };

        weir_scope_open(&scope);
        weir_scope_spawn(&scope, copy, &up); /* meanwhile */
        rc = copy(&down);
        if (rc == 0)
            rc = weir_scope_wait(&scope, WEIR_FOREVER);
        rc = weir_scope_end(&scope, rc); /* the other one is over as well */
    }
    if (rc < 0) { /* what was cut off must not look complete */
        weir_stream_reset(&server);
        weir_stream_reset(&client);
    }
    weir_stream_close(&server);
    weir_stream_close(&client);
}

static int proxy(void *arg)
{
    struct weir_listener *listener;
    struct weir_stream   *client;
    int                   rc = weir_listen(arg, &listener);

    if (rc < 0)
        return rc;
    while (weir_canceled() == 0) /* until the process is told to stop */
        if (weir_accept(listener, WEIR_FOREVER, &client) == 0 && weir_spawn(serve, client) < 0)
            weir_stream_reset(&client);
    weir_listener_close(&listener);
    return 0;
}

int main(int argc, char **argv)
{
    return weir_run(argc, argv, proxy, (void *)"127.0.0.1:7000");
}
