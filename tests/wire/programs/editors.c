/* editors.c -- a proxy whose requests say which editors their bodies pass through.
 *
 * `Edit: upper, sign` names those of the response, `Edit-Request` those of the request, and
 * `Edit-Early` those of the request that are set before the first try. */
#include <stdio.h>
#include <stdlib.h>

#include "one_upstream.h"

static int copy(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    (void)s;
    while ((rc = weir_read(in, &chunk)) > 0)
        weir_write(out, chunk);
    return rc;
}

static int sign(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    int rc = copy(s, in, out);

    if (rc == 0)
        weir_write(out, "[signed]");
    return rc;
}

static int upper(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    while ((rc = weir_read(in, &chunk)) > 0) {
        char *text = malloc(chunk.len);

        for (size_t i = 0; i < chunk.len; i++)
            text[i] = (char)(chunk.ptr[i] >= 'a' && chunk.ptr[i] <= 'z' ? chunk.ptr[i] - 32
                                                                        : chunk.ptr[i]);
        weir_body_write(out, (weir_str){ text, chunk.len });
        free(text); /* it was taken, or copied */
    }
    (void)s;
    return rc;
}

static int twice(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    (void)s;
    while ((rc = weir_read(in, &chunk)) > 0) {
        weir_write(out, chunk);
        weir_write(out, chunk);
    }
    return rc;
}

/* How long it was. */
static int count(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    unsigned long long n = 0;
    weir_str chunk;
    int rc;

    while ((rc = weir_read(in, &chunk)) > 0)
        n += chunk.len;
    if (rc == 0)
        weir_write(out, weir_printf(s, "%llu", n));
    return rc;
}

/* What is absent is nothing, whatever length it has, a short one or one that is not gathered. */
static int nothing(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    (void)s;
    (void)in;
    weir_body_write(out, (weir_str){ .len = 5 });
    return weir_body_write(out, (weir_str){ .len = 100000 });
}

/* The first piece is enough. */
static int first(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;

    (void)s;
    if (weir_read(in, &chunk) > 0)
        weir_write(out, chunk);
    return 0;
}

/* Writes until nobody reads any more. */
static int endless(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    static const char text[4096] = "endless";
    int rc;

    (void)in;
    while ((rc = weir_body_write(out, (weir_str){ text, sizeof text })) == 0)
        ;
    fprintf(stderr, "endless ended: %s\n", weir_error_why(rc));
    (void)s;
    return 0;
}

static int fail(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;

    weir_read(in, &chunk);
    weir_write(out, "not to be seen");
    return weir_fail(s, 418, "an editor was told to fail");
}

static int failend(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    copy(s, in, out);
    weir_flush(out);
    return weir_fail(s, 418, "an editor was told to fail at the end");
}

/* Does as if nothing had happened. */
static int careless(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    copy(s, in, out);
    weir_write(out, "[complete]");
    return 0;
}

static int answer(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;

    (void)out;
    weir_read(in, &chunk);
    return weir_respond(s, 222, "an editor");
}

static int nonsense(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    (void)s;
    (void)in;
    (void)out;
    return 77;
}

static int wait(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    fprintf(stderr, "waiting in an editor\n");
    (void)in;
    (void)out;
    return weir_sleep(s, 3600 * WEIR_SEC);
}

static int nap(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    while ((rc = weir_read(in, &chunk)) > 0) {
        if (weir_sleep(s, 5 * WEIR_MS) < 0)
            return WEIR_ECANCELED;
        weir_write(out, chunk);
    }
    return rc;
}

/* Takes its time over each piece, whatever happens meanwhile. */
static int doze(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    while ((rc = weir_read(in, &chunk)) > 0) {
        fprintf(stderr, "dozing\n");
        for (int i = 0; i < 200; i++)
            weir_sleep_for(2 * WEIR_MS);
        weir_write(out, chunk);
    }
    (void)s;
    return rc;
}

static const struct {
    const char *name;
    weir_body_editor *editor;
} editors[] = {
    { "copy", copy },         { "sign", sign },       { "upper", upper },   { "twice", twice },
    { "count", count },       { "nothing", nothing }, { "first", first },   { "endless", endless },
    { "fail", fail },         { "failend", failend }, { "answer", answer },
    { "careless", careless }, { "wait", wait },       { "nap", nap },
    { "doze", doze },         { "nonsense", nonsense },
};

static void edit(struct weir_session *s, weir_str list)
{
    while (list.len > 0) {
        size_t n = 0;
        weir_str word;

        while (n < list.len && list.ptr[n] != ',')
            n++;
        word = (weir_str){ list.ptr, n };
        for (size_t i = 0; i < sizeof editors / sizeof editors[0]; i++)
            if (weir_eq(word, editors[i].name))
                weir_edit_body(s, editors[i].editor);
        n += n < list.len;
        list.ptr += n;
        list.len -= n;
    }
}

static int request_filter(struct weir_session *s)
{
    edit(s, weir_get(weir_request(s), "Edit-Early"));
    if (weir_has(weir_request(s), "Hurry"))
        weir_set_timeout(s, WEIR_TIMEOUT_REQUEST, 100 * WEIR_MS);
    return WEIR_OK;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, where.upstream);
}

static int error_while_proxy(struct weir_session *s, const struct weir_peer *peer, int err,
                             bool reused)
{
    (void)peer;
    (void)reused;
    return weir_has(weir_request(s), "Again") && weir_tries(s) < 3 ? WEIR_RETRY : err;
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    (void)req;
    edit(s, weir_get(weir_request(s), "Edit-Request"));
    return WEIR_OK;
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    (void)res;
    edit(s, weir_get(weir_request(s), "Edit"));
    return WEIR_OK;
}

static int trailers(struct weir_head *t, const char *who)
{
    if (weir_has(t, "Fail-Trailer"))
        return WEIR_EUPBODY;
    weir_set(t, "Seen-By", who);
    weir_set(t, "Content-Length", "7");
    weir_del(t, "Secret");
    return WEIR_OK;
}

static int request_trailer_filter(struct weir_session *s, struct weir_head *t)
{
    (void)s;
    return trailers(t, "request_trailer_filter");
}

static int response_trailer_filter(struct weir_session *s, struct weir_head *t)
{
    (void)s;
    return trailers(t, "response_trailer_filter");
}

static const struct weir_proxy proxy = {
    .name = "editors",
    .request_filter = request_filter,
    .upstream_peer = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
    .request_trailer_filter = request_trailer_filter,
    .response_filter = response_filter,
    .response_trailer_filter = response_trailer_filter,
    .error_while_proxy = error_while_proxy,
};

int main(int argc, char **argv)
{
    return run_proxy(argc, argv, &proxy);
}
