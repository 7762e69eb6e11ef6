/* auth.c -- Basic authentication (RFC 7617). */
#include "codec/base64.h"
#include "codec/head.h"
#include "proxy/module.h"

struct visit {
    weir_str user;
};

/* In `out`, which has room for 3/4 of `in`; false for what is no base64. Not as strict as
 * base64_decode: padding may be missing. */
static bool decode(weir_str in, char *out, size_t *len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;

    while (in.len > 0 && in.ptr[in.len - 1] == '=')
        in.len--;
    for (size_t i = 0; i < in.len; i++) {
        int v = base64_value(in.ptr[i]);

        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have);
        }
    }
    *len = n;
    return in.len % 4 != 1;
}

/* How long it takes tells nothing of where they differ. */
static bool same_secret(weir_str a, const char *z)
{
    size_t len = strlen(z);
    unsigned differ = a.len != len;

    for (size_t i = 0; i < a.len; i++)
        differ |= (unsigned)(a.ptr[i] ^ z[len > 0 ? i % len : 0]);
    return differ == 0;
}

/* user-id ":" password of the request. */
static bool credentials(struct weir_session *s, weir_str *name, weir_str *password)
{
    weir_str given = head_get_id(&s->req, FIELD_AUTHORIZATION), scheme = given;
    char *text, *colon;
    size_t len;

    scheme.len = MIN(given.len, 6);
    if (!weir_eq_nocase(scheme, "Basic ") || head_count_id(&s->req, FIELD_AUTHORIZATION) != 1)
        return false;
    given = (weir_str){ given.ptr + 6, given.len - 6 };
    while (given.len > 0 && given.ptr[0] == ' ')
        given = (weir_str){ given.ptr + 1, given.len - 1 };
    text = weir_alloc(s, given.len + 1);
    if (text == NULL || !decode(given, text, &len))
        return false;
    colon = memchr(text, ':', len);
    if (colon == NULL)
        return false;
    *name = (weir_str){ text, (size_t)(colon - text) };
    *password = (weir_str){ colon + 1, len - name->len - 1 };
    return true;
}

static bool may_enter(struct weir_session *s, const struct weir_basic_auth_config *c, weir_str name,
                      weir_str password)
{
    bool found = false;

    for (const struct weir_user *u = c->users; u != NULL && u->name != NULL; u++) {
        bool named = same_secret(name, u->name), proven = same_secret(password, u->password);

        found |= named && proven;
    }
    return found || (c->check != NULL && c->check(s, name, password));
}

static int refuse(struct weir_session *s, const struct weir_basic_auth_config *c)
{
    struct weir_head *res = weir_new_response(s, 401);

    weir_set(res, "WWW-Authenticate",
             weir_printf(s, "Basic realm=\"%s\", charset=\"UTF-8\"",
                         c->realm != NULL ? c->realm : "restricted"));
    weir_set(res, "Content-Type", "text/plain; charset=utf-8");
    return weir_send(s, res, "401 Unauthorized\n");
}

/* As it is, between quotes in a field. */
static bool may_be_quoted(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static const char *check(const void *config)
{
    const struct weir_basic_auth_config *c = config;

    if (c == NULL || (c->users == NULL && c->check == NULL))
        return "weir_basic_auth needs users, or a check";
    if (c->realm != NULL && !may_be_quoted(c->realm))
        return "the realm of weir_basic_auth has a quote, a backslash or a control character";
    for (const struct weir_user *u = c->users; u != NULL && u->name != NULL; u++)
        if (u->password == NULL || strchr(u->name, ':') != NULL)
            return "a user of weir_basic_auth has no password, or a colon in his name";
    return NULL;
}

static int request_filter(struct weir_session *s, struct weir_use *me)
{
    const struct weir_basic_auth_config *c = me->config;
    struct visit *v = me->ctx;
    weir_str name, password;

    if (!credentials(s, &name, &password) || !may_enter(s, c, name, password))
        return s->err != 0 ? s->err : refuse(s, c);
    v->user = name;
    return WEIR_OK;
}

static int upstream_request_filter(struct weir_session *s, struct weir_use *me,
                                   struct weir_head *req)
{
    const struct weir_basic_auth_config *c = me->config;

    (void)s;
    if (!c->pass)
        head_del_id(req, FIELD_AUTHORIZATION);
    return WEIR_OK;
}

const struct weir_module weir_basic_auth = {
    .name = "basic_auth",
    .ctx_size = sizeof(struct visit),
    .check = check,
    .request_filter = request_filter,
    .upstream_request_filter = upstream_request_filter,
};

weir_str weir_basic_auth_user(struct weir_session *s)
{
    const struct weir_use *use = weir_used(s, &weir_basic_auth);
    const struct visit *v = use != NULL ? use->ctx : NULL;

    return v != NULL ? v->user : (weir_str){ NULL, 0 };
}
