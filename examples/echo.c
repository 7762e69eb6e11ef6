/* echo.c -- without HTTP: whatever comes on 127.0.0.1:7000 goes back. A coroutine for each client,
 * all on a few threads; one that is silent for a minute is closed.
 *
 *     cc echo.c -o echo $(pkg-config --cflags --libs weir)
 *     ./echo &
 *     curl -N telnet://127.0.0.1:7000      and what you type comes back */
#include <weir/weir.h>

static void serve(void *arg)
{
    struct weir_stream *client = arg;
    char                buf[4096];
    ptrdiff_t           n;

    while ((n = weir_stream_read(client, buf, sizeof buf, 60 * WEIR_SEC)) > 0)
        if (weir_stream_write(client, buf, (size_t)n, 10 * WEIR_SEC) < 0)
            break;
    weir_stream_close(&client);
}

static int echo(void *arg)
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
    return weir_run(argc, argv, echo, (void *)"127.0.0.1:7000");
}
