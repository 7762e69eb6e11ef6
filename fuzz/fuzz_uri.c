/* fuzz_uri.c -- a target that is accepted has only legal bytes; a canonical path is a fixed point
 * and has nothing left in it that two readers could understand in two ways. */
#include "heads.h"

#include "codec/uri.h"

static bool holds(weir_str text, const char *what)
{
    return text.len > 0 && memmem(text.ptr, text.len, what, strlen(what)) != NULL;
}

static void check_canonical(weir_str path, bool same, weir_str target, struct arena *arena)
{
    static const char *const never[] = { "//", "/./", "/../", "%2F", "%2f", "%5C", "%5c", "%00",
                                         "\\", "/..;", "/.;", "%2e", "%2E", "%7e", "%41", "?" };
    weir_str again;
    bool same_again;

    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        ensure(!holds(path, never[i]));
    ensure(path.len > 0 && path.ptr[0] == '/');
    ensure(path.len < 2 || memcmp(path.ptr + path.len - 2, "/.", 2) != 0);
    ensure(path.len < 3 || memcmp(path.ptr + path.len - 3, "/..", 3) != 0);
    ensure(path.len <= target.len);
    ensure(!same || weir_starts(target, path));
    ensure(path_canonical(path, arena, &again, &same_again) == 0);
    ensure(same_again && weir_str_eq(path, again));
    ensure(path_under(path, LIT("/")) && path_under(path, LIT("")));
    ensure(!path_under(path, LIT("/a/b")) || path_under(path, LIT("/a")));
}

/* By every kind of pass, with and without bytes behind the text that may be read. */
static int parse_target(weir_str text, enum method method, struct target *t, struct h1_fault *fault)
{
    char *copy = padded_copy(text);
    int rc;

    ensure(h1_use(H1_PORTABLE));
    rc = target_parse(text, method, t, fault);
    for (int kind = 0; kind < H1_KINDS; kind++) {
        struct h1_fault other = { NULL };
        struct target u;

        if (!h1_use((enum h1_kind)kind))
            continue;
        ensure(target_parse(text, method, &u, &other) == rc);
        ensure(other.reason == fault->reason);
        other.reason = NULL;
        ensure(target_parse_in((weir_str){ copy, text.len }, copy + text.len + H1_PAD, method, &u,
                               &other) == rc);
        ensure(other.reason == fault->reason && (rc < 0 || u.form == t->form));
    }
    free(copy);
    return rc;
}

static void check_target(weir_str text, enum method method, struct arena *arena)
{
    struct h1_fault fault = { NULL };
    struct target t;
    weir_str path;
    bool same = false;
    int rc = parse_target(text, method, &t, &fault);

    ensure(rc == 0 || (rc == WEIR_EBADTARGET && fault.reason != NULL));
    if (rc < 0)
        return;
    for (size_t i = 0; i < text.len; i++)
        ensure(text.ptr[i] > ' ' && text.ptr[i] < 0x7f && text.ptr[i] != '#' &&
               text.ptr[i] != '\\' && text.ptr[i] != '"');
    ensure((t.form == TARGET_AUTHORITY) == (method == METHOD_CONNECT));
    ensure(t.form != TARGET_ASTERISK || method == METHOD_OPTIONS);
    if (t.form == TARGET_ABSOLUTE || t.form == TARGET_AUTHORITY)
        ensure(authority_valid(t.authority));
    if (t.form == TARGET_ORIGIN) {
        rc = path_canonical(t.path, arena, &path, &same);
        ensure(rc == 0 || rc == WEIR_EBADTARGET);
        if (rc == 0)
            check_canonical(path, same, t.path, arena);
    }
}

/* An authority that is accepted stays one inside of a target, and the other way round. */
static void check_authority(weir_str text, struct arena *arena)
{
    weir_str target = arena_printf(arena, "http://" WEIR_FMT "/", WEIR_ARG(text));
    struct h1_fault fault;
    struct target t;

    ensure(target.ptr != NULL);
    if (!authority_valid(text))
        return;
    ensure(target_parse(target, METHOD_GET, &t, &fault) == 0);
    ensure(weir_str_eq(t.authority, text) && weir_eq(t.path, "/"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum method methods[] = { METHOD_GET, METHOD_OPTIONS, METHOD_CONNECT };
    weir_str text = { (const char *)data, size }, path;
    char *copy = exact_copy(text);
    struct arena arena;
    bool same;

    arena_init(&arena, NULL, 0);
    text.ptr = copy;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        check_target(text, methods[i], &arena);
    check_authority(text, &arena);
    (void)path_canonical(text, &arena, &path, &same); /* also of what was never a target */
    arena_done(&arena);
    free(copy);
    return 0;
}
