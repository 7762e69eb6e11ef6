/* module.c -- reusable filters: who is in use, and the order in which their phases run. */
#include "proxy/module.h"

#include "runtime/runtime.h"

struct weir_use *weir_used(struct weir_session *s, const struct weir_module *module)
{
    for (unsigned i = 0; s->uses != NULL && i < s->uses->count; i++)
        if (s->uses->use[i].module == module)
            return &s->uses->use[i];
    return NULL;
}

static struct weir_use *add(struct weir_session *s, const struct weir_module *module,
                            const void *config)
{
    struct uses *uses = s->uses;
    struct weir_use *use = &uses->use[uses->count];

    *use = (struct weir_use){ .module = module, .config = config };
    if (module->ctx_size > 0) {
        use->ctx = weir_alloc(s, module->ctx_size);
        if (use->ctx == NULL)
            return NULL;
        memset(use->ctx, 0, module->ctx_size);
    }
    uses->request_body |= module->request_body_filter != NULL;
    uses->response_body |= module->response_body_filter != NULL;
    uses->count++;
    return use;
}

static bool ready(struct weir_session *s)
{
    if (s->uses == NULL) {
        s->uses = weir_alloc(s, sizeof *s->uses);
        if (s->uses != NULL)
            *s->uses = (struct uses){ .count = 0 };
    }
    return s->uses != NULL;
}

struct weir_use *weir_use(struct weir_session *s, const struct weir_module *module,
                          const void *config)
{
    struct weir_use *use = weir_used(s, module);

    if (use != NULL) {
        use->config = config;
        use->off = false;
        return use;
    }
    if (!ready(s))
        return NULL;
    if (s->uses->count == WEIR_MODULES) {
        session_fail(s, WEIR_EINVALID, "more than 16 modules");
        return NULL;
    }
    return add(s, module, config);
}

int modules_begin(struct weir_session *s)
{
    const struct service *svc = s->service;

    if (!ready(s))
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < WEIR_MODULES && svc->modules[i].module != NULL; i++)
        if (weir_use(s, svc->modules[i].module, svc->modules[i].config) == NULL)
            return WEIR_ENOMEM;
    return 0;
}

/* One phase of one module. */
#define CALL(s, u, phase, ...) \
    ((u)->off || (u)->module->phase == NULL \
         ? WEIR_OK \
         : (co_label((u)->module->name, #phase), \
            phase_result((s), (u)->module->phase((s), (u)__VA_ARGS__))))

/* Those that are there when it begins, from the client's side or towards it. */
#define ALL_UP(s, phase, ...) \
    do { \
        for (unsigned i_ = 0, n_ = (s)->uses->count; i_ < n_; i_++) { \
            struct weir_use *u_ = &(s)->uses->use[i_]; \
            int rc_ = CALL(s, u_, phase, __VA_ARGS__); \
            if (rc_ != 0) \
                return rc_; \
        } \
        return 0; \
    } while (0)
#define ALL_DOWN(s, phase, ...) \
    do { \
        for (unsigned i_ = (s)->uses->count; i_-- > 0;) { \
            struct weir_use *u_ = &(s)->uses->use[i_]; \
            int rc_ = CALL(s, u_, phase, __VA_ARGS__); \
            if (rc_ != 0) \
                return rc_; \
        } \
        return 0; \
    } while (0)
#define WITH(...) , __VA_ARGS__

int modules_early_request(struct weir_session *s)
{
    ALL_UP(s, early_request_filter, );
}

int modules_request(struct weir_session *s)
{
    ALL_UP(s, request_filter, );
}

int modules_upstream_request(struct weir_session *s, struct weir_head *req)
{
    ALL_UP(s, upstream_request_filter, WITH(req));
}

int modules_request_body(struct weir_session *s, weir_str *chunk, bool end)
{
    ALL_UP(s, request_body_filter, WITH(chunk, end));
}

int modules_upstream_response(struct weir_session *s, struct weir_head *res)
{
    ALL_DOWN(s, upstream_response_filter, WITH(res));
}

int modules_response(struct weir_session *s, struct weir_head *res)
{
    ALL_DOWN(s, response_filter, WITH(res));
}

int modules_response_body(struct weir_session *s, weir_str *chunk, bool end)
{
    ALL_DOWN(s, response_body_filter, WITH(chunk, end));
}

void modules_logging(struct weir_session *s, int err)
{
    for (unsigned i = 0; i < s->uses->count; i++) {
        struct weir_use *u = &s->uses->use[i];

        if (u->module->logging != NULL && !u->off)
            u->module->logging(s, u, err);
    }
}
