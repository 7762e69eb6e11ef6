/* test_null.c -- public calls without the object they are about: what is harmless, what fails, and
 * what ends the process with a name. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/weir.h>

#include "cases.h"

/* ---- harmless -------------------------------------------------------------------------------- */

static void nothing_to_free(void **state)
{
    struct weir_stream *st = NULL;
    struct weir_listener *l = NULL;
    struct weir_channel *ch = NULL;
    struct weir_session *s = NULL;

    (void)state;
    weir_stream_close(NULL);
    weir_stream_close(&st);
    weir_stream_reset(NULL);
    weir_stream_reset(&st);
    weir_listener_close(NULL);
    weir_listener_close(&l);
    weir_channel_free(NULL);
    weir_channel_free(&ch);
    weir_channel_close(NULL);
    weir_session_free(NULL);
    weir_session_free(&s);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Within a coroutine, where nothing else is wrong with them. */
static int all_fail(void *arg)
{
    struct weir_stream *st;
    struct weir_listener *l;
    char byte = 0;

    (void)arg;
    ensure(weir_stream_read(NULL, &byte, 1, 0) == WEIR_EINVALID);
    ensure(weir_stream_write(NULL, &byte, 1, 0) == WEIR_EINVALID);
    ensure(weir_stream_finish(NULL) == WEIR_EINVALID);
    ensure(weir_stream_peer(NULL).ptr == NULL);
    ensure(weir_connect(NULL, 0, &st) == WEIR_EINVALID && st == NULL);
    ensure(weir_connect("127.0.0.1:1", 0, NULL) == WEIR_EINVALID);
    ensure(weir_listen(NULL, &l) == WEIR_EINVALID && l == NULL);
    ensure(weir_listen("127.0.0.1:0", NULL) == WEIR_EINVALID);
    ensure(weir_accept(NULL, 0, &st) == WEIR_EINVALID && st == NULL);
    ensure(weir_semaphore_take(NULL, 0) == WEIR_EINVALID);
    ensure(weir_channel_send(NULL, &byte, 0) == WEIR_EINVALID);
    ensure(weir_channel_receive(NULL, &byte, 0) == WEIR_EINVALID);
    ensure(weir_spawn(NULL, NULL) == WEIR_EINVALID);
    ensure(weir_blocking(NULL, NULL) == WEIR_EINVALID);
    return 0;
}

static void nothing_to_use(void **state)
{
    char *argv[] = { "null", NULL };

    (void)state;
    assert_int_equal(weir_run(1, argv, all_fail, NULL), 0);
}

/* ---- bugs of the program --------------------------------------------------------------------- */

static void use_add(void)
{
    weir_server_add(NULL, NULL);
}

static void use_add_task(void)
{
    weir_server_add_task(NULL, all_fail, NULL);
}

static void use_run(void)
{
    weir_server_run(NULL);
}

static void use_stop(void)
{
    weir_server_stop(NULL);
}

static void use_stats(void)
{
    weir_server_stats(weir_server_new(0, NULL), NULL);
}

static void use_lb(void)
{
    weir_lb_new(NULL, NULL);
}

static void use_rate(void)
{
    weir_rate_new(NULL, WEIR_SEC);
}

static void use_lock(void)
{
    weir_mutex_lock(NULL);
}

static void use_unlock(void)
{
    weir_mutex_unlock(NULL);
}

static void use_init(void)
{
    weir_semaphore_init(NULL, 1);
}

static void use_give(void)
{
    weir_semaphore_give(NULL, 1);
}

static void use_scope(void)
{
    weir_scope_open(NULL);
}

static void use_end(void)
{
    weir_scope_end(NULL, 0);
}

/* What the process said that ended by it. */
static void last_words(void (*use)(void), char *text, size_t size)
{
    size_t len = 0;
    ssize_t n;
    int fds[2], status;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(fds[1], STDERR_FILENO);
        use();
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("status %x: %s", (unsigned)status, text);
}

static void bugs_are_named(void **state)
{
    static const struct {
        void (*use)(void);
        const char *words;
    } cases[] = {
        { use_add, "weir_server_add needs a server" },
        { use_add_task, "weir_server_add_task needs a server" },
        { use_run, "weir_server_run needs a server" },
        { use_stop, "weir_server_stop needs a server" },
        { use_stats, "weir_server_stats needs a place for the figures" },
        { use_lb, "weir_lb_new needs a server" },
        { use_rate, "weir_rate_new needs a server" },
        { use_lock, "weir_mutex_lock needs a mutex, in a coroutine" },
        { use_unlock, "weir_mutex_unlock needs a mutex" },
        { use_init, "weir_semaphore_init needs a semaphore" },
        { use_give, "weir_semaphore_give needs a semaphore" },
        { use_scope, "weir_scope_open needs a scope, in a coroutine" },
        { use_end, "weir_scope_end needs a scope" },
    };
    char text[4096];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        last_words(cases[i].use, text, sizeof text);
        if (strstr(text, cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].words, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_free),
        cmocka_unit_test(bugs_are_named), /* before there are threads to fork beside */
        cmocka_unit_test(nothing_to_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
