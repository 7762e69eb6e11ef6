/* one_upstream.h -- what most of these programs are told on their command line: where to listen and
 * to whom to go. */
#ifndef ONE_UPSTREAM_H
#define ONE_UPSTREAM_H

#include <weir/weir.h>

static struct {
    const char *listen, *upstream;
} where;

static inline const char *set_listen(void *state, const char *value)
{
    (void)state;
    where.listen = value;
    return weir_check_address(value);
}

static inline const char *set_upstream(void *state, const char *value)
{
    (void)state;
    where.upstream = value;
    return weir_check_address(value);
}

/* A program that is told no more than that. */
static inline int run_proxy(int argc, char **argv, const struct weir_proxy *proxy)
{
    static const struct weir_option options[] = {
        { .name = "listen", .value = "ADDR", .help = "where", .set = set_listen, .required = true },
        { .value = "UPSTREAM", .help = "to whom", .set = set_upstream, .required = true },
        { .set = NULL },
    };
    struct weir_server *server = weir_server_new_with(argc, argv, NULL, options, NULL);

    weir_server_add(server, &(struct weir_service){
                                .proxy = proxy,
                                .listen = { { .addr = where.listen, .alpn = WEIR_H1 | WEIR_H2 } },
                            });
    return weir_server_run(server);
}

#endif
