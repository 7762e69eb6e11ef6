/* access.c -- who may connect, and who may ask, by address. */
#include <stdio.h>

#include "proxy/module.h"

static bool in_list(const char *const *list, const struct addr *a)
{
    struct addr_net net;

    for (; *list != NULL; list++)
        if (addr_net_parse(*list, &net) == NULL && addr_net_has(&net, a))
            return true;
    return false;
}

static const char *check_list(const char *const *list)
{
    struct addr_net net;
    const char *wrong = NULL;

    for (; list != NULL && *list != NULL && wrong == NULL; list++)
        wrong = addr_net_parse(*list, &net);
    return wrong;
}

static const char *check(const void *config)
{
    const struct weir_access_config *c = config;
    const char *wrong;

    if (c == NULL)
        return "weir_access needs a configuration";
    wrong = check_list(c->allow);
    return wrong != NULL ? wrong : check_list(c->deny);
}

static int request_filter(struct weir_session *s, struct weir_use *me)
{
    const struct weir_access_config *c = me->config;
    bool allowed;

    if (s->client->kind == ADDR_UNIX)
        return WEIR_OK;
    allowed = c->allow == NULL || in_list(c->allow, s->client);
    if (c->deny != NULL && in_list(c->deny, s->client))
        allowed = false;
    return allowed ? WEIR_OK : weir_respond(s, 403, "403 Forbidden\n");
}

const struct weir_module weir_access = {
    .name = "access",
    .check = check,
    .request_filter = request_filter,
};

bool weir_connection_within(const struct weir_connection *c, const char *network)
{
    struct addr_net net;

    return network != NULL && addr_net_parse(network, &net) == NULL &&
           addr_net_has(&net, c->internal.address);
}
