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

static struct weir_use *put_to_use(struct weir_session *s, const struct weir_module *module,
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

struct weir_use *weir_use(struct weir_session *s, const struct weir_module *module,
                          const void *config)
{
    const char *wrong = module == NULL          ? "weir_use needs a module"
                        : module->check != NULL ? module->check(config)
                                                : NULL;

    if (wrong == NULL)
        return put_to_use(s, module, config);
    session_fail(s, WEIR_EINVALID, wrong);
    return NULL;
}

int modules_begin(struct weir_session *s)
{
    const struct service *svc = s->service;

    if (!ready(s))
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < WEIR_MODULES && svc->modules[i].module != NULL; i++)
        if (put_to_use(s, svc->modules[i].module, svc->modules[i].config) == NULL)
            return WEIR_ENOMEM;
    return 0;
}

/* One phase of one module; `skip`: not now. */
#define CALL(s, u, skip, phase, ...) \
    ((u)->off || (skip) || (u)->module->phase == NULL \
         ? WEIR_OK \
         : (PHASE_BEGINS(s, (u)->module->name, phase), \
            phase_result((s), (u)->module->phase((s), (u)__VA_ARGS__))))

enum { DOWN, UP };

/* Those that are there when it begins: up from the client's side, down towards it. */
#define ALL(s, way, skip, phase, ...) \
    do { \
        for (unsigned i_ = 0, n_ = (s)->uses->count; i_ < n_; i_++) { \
            struct weir_use *u_ = &(s)->uses->use[(way) == UP ? i_ : n_ - 1 - i_]; \
            int rc_ = CALL(s, u_, skip, phase, __VA_ARGS__); \
            if (rc_ != 0) \
                return rc_; \
        } \
        return 0; \
    } while (0)
#define WITH(...) , __VA_ARGS__

int modules_early_request(struct weir_session *s)
{
    ALL(s, UP, false, early_request_filter, );
}

int modules_request(struct weir_session *s)
{
    ALL(s, UP, false, request_filter, );
}

void modules_next_try(struct weir_session *s)
{
    for (unsigned i = 0; i < s->uses->count; i++)
        s->uses->use[i].passes = false;
}

int modules_connected(struct weir_session *s)
{
    ALL(s, UP, false, connected_to_upstream, WITH(&s->peer, s->reused));
}

int modules_upstream_request(struct weir_session *s, struct weir_head *req)
{
    ALL(s, UP, false, upstream_request_filter, WITH(req));
}

/* Does one that takes part in the bodies of this try have that phase? */
#define ANY_HAS(s, phase) \
    do { \
        for (unsigned i_ = 0; (s)->uses != NULL && i_ < (s)->uses->count; i_++) { \
            const struct weir_use *u_ = &(s)->uses->use[i_]; \
            if (!u_->off && !u_->passes && u_->module->phase != NULL) \
                return true; \
        } \
        return false; \
    } while (0)

bool modules_filter_up(const struct weir_session *s)
{
    ANY_HAS(s, request_body_filter);
}

bool modules_filter_down(const struct weir_session *s)
{
    ANY_HAS(s, response_body_filter);
}

bool modules_filter_trailers_up(const struct weir_session *s)
{
    ANY_HAS(s, request_trailer_filter);
}

int modules_request_body(struct weir_session *s, weir_str *chunk, bool end)
{
    ALL(s, UP, u_->passes, request_body_filter, WITH(chunk, end));
}

int modules_request_trailers(struct weir_session *s, struct weir_head *trailers)
{
    ALL(s, UP, u_->passes, request_trailer_filter, WITH(trailers));
}

int modules_upstream_response(struct weir_session *s, struct weir_head *res)
{
    ALL(s, DOWN, false, upstream_response_filter, WITH(res));
}

int modules_response(struct weir_session *s, struct weir_head *res)
{
    ALL(s, DOWN, false, response_filter, WITH(res));
}

static int response_trailers(struct weir_session *s, struct weir_use *u)
{
    struct weir_head *trailers = s->up_http->trailers;

    if (trailers == NULL)
        return 0;
    return body_check_trailers(
        s, trailers, CALL(s, u, u->passes, response_trailer_filter, WITH(trailers)));
}

/* One after the other sees body and trailers as the one before left them: a body may have taken
 * them in. */
int modules_response_body(struct weir_session *s, weir_str *chunk, bool end)
{
    int rc = 0;

    for (unsigned i = s->uses->count; i-- > 0 && rc == 0;) {
        struct weir_use *u = &s->uses->use[i];

        rc = CALL(s, u, u->passes, response_body_filter, WITH(chunk, end));
        if (rc == 0 && end)
            rc = response_trailers(s, u);
    }
    return rc;
}

void modules_fail(struct weir_session *s)
{
    if (s->uses == NULL && (s->service->modules == NULL || modules_begin(s) < 0))
        return;
    for (unsigned i = s->uses->count; i-- > 0;) {
        struct weir_use *u = &s->uses->use[i];

        if (u->off || u->module->fail_to_proxy == NULL)
            continue;
        PHASE_BEGINS(s, u->module->name, fail_to_proxy);
        u->module->fail_to_proxy(s, u, s->err);
    }
}

void modules_logging(struct weir_session *s)
{
    for (unsigned i = 0; i < s->uses->count; i++) {
        struct weir_use *u = &s->uses->use[i];

        if (u->off || u->module->logging == NULL)
            continue;
        co_label(u->module->name, "logging");
        phase_begins(s, WEIR_PHASE_LOGGING);
        u->module->logging(s, u, s->err);
    }
}
