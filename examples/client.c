/* client.c -- no proxy at all: fetches the URLs of its command line and prints what comes. A host
 * that was asked before is asked on the same connection.
 *
 *     cc client.c -o client $(pkg-config --cflags --libs weir)
 *     ./client http://127.0.0.1:9001/ https://localhost/page */
#include <stdio.h>
#include <weir/weir.h>

enum { URLS = 16 };

static const char *urls[URLS];
static size_t count;

static int fetch_all(void *arg)
{
    struct weir_session *s = weir_session_new(NULL);
    weir_str name, value;
    int rc = s ? 0 : WEIR_ENOMEM;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        const struct weir_head *res = weir_fetch(s, weir_new_get(s, urls[i]), 10 * WEIR_SEC);

        if (!res) {
            rc = weir_fail(s, 502, "%s", weir_why(s));
            break;
        }
        printf("%d\n", weir_status(res));
        for (size_t f = 0; weir_head_at(res, f, &name, &value); f++)
            printf(WEIR_FMT ": " WEIR_FMT "\n", WEIR_ARG(name), WEIR_ARG(value));
        printf("\n" WEIR_FMT "\n", WEIR_ARG(weir_fetched_body(s, res)));
    }
    weir_session_free(&s);                             /* what has failed is logged */
    return rc;
}

static const char *add_url(void *state, const char *value)
{
    if (count == URLS)
        return "that is too many";
    urls[count++] = value;
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct weir_option options[] = {
        { .value = "URL", .help = "what to fetch", .set = add_url, .required = true },
        { .set = NULL },
    };
    struct weir_server *server = weir_server_new_with(argc, argv, NULL, options, NULL);

    weir_server_add_task(server, fetch_all, NULL);
    return weir_server_run(server);
}
