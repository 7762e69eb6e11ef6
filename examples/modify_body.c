/* modify_body.c -- signs each HTML page and takes what is marked as internal out of it. The editors
 * are plain loops; lengths, ranges and ETags of what they change stay right by themselves. */
#include <weir/weir.h>

static void put_line(struct weir_body *out, char *line, size_t *len)
{
    line[*len] = '\0';
    if (!strstr(line, "internal:"))
        weir_write(out, ((weir_str){ line, *len }));
    *len = 0;
}

/* Leaves out the lines that hold `internal:`, whatever pieces the body comes in. */
static int redact(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    char line[4096];                                   /* stacks are small, but not that small */
    size_t len = 0;
    weir_str chunk;
    int rc;

    while ((rc = weir_read(in, &chunk)) > 0)           /* 1 = a chunk, 0 = the end, < 0 = error */
        for (size_t i = 0; i < chunk.len; i++) {
            if (len == sizeof line - 1)
                return weir_fail(s, 502, "a line of more than 4 KiB");
            line[len++] = chunk.ptr[i];
            if (chunk.ptr[i] == '\n')
                put_line(out, line, &len);
        }
    if (rc == 0)                                       /* a truncated page must not look complete */
        put_line(out, line, &len);
    return rc;
}

static int sign_page(struct weir_session *s, struct weir_body *in, struct weir_body *out)
{
    weir_str chunk;
    int rc;

    while ((rc = weir_read(in, &chunk)) > 0)
        weir_write(out, chunk);
    if (rc == 0)
        weir_write(out, "<!-- via gateway -->\n");
    return rc;
}

static int upstream_peer(struct weir_session *s, struct weir_peer *peer)
{
    return weir_peer_address(s, peer, "127.0.0.1:9001");
}

static int upstream_request_filter(struct weir_session *s, struct weir_head *req)
{
    weir_del(req, "Accept-Encoding");                  /* we cannot edit what is compressed */
    return WEIR_OK;
}

static int response_filter(struct weir_session *s, struct weir_head *res)
{
    if (weir_starts(weir_get(res, "Content-Type"), "text/html")) {
        weir_edit_body(s, redact);
        weir_edit_body(s, sign_page);
    }
    return WEIR_OK;
}

static const struct weir_proxy editor = {
    .name                    = "editor",
    .upstream_peer           = upstream_peer,
    .upstream_request_filter = upstream_request_filter,
    .response_filter         = response_filter,
};

int main(int argc, char **argv)
{
    struct weir_server *server = weir_server_new(argc, argv);

    weir_server_add(server, &(struct weir_service){
        .proxy = &editor, .listen = { { .addr = "127.0.0.1:8080" } },
    });
    return weir_server_run(server);
}
