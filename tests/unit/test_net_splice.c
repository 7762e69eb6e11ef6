/* test_net_splice.c -- bytes from one socket to another through a pipe: all of them, in order, with
 * the bounds and ends of reads and writes; and no pipe is used again that holds something. */
#include "workers.h"

#include <pthread.h>

#include "net/pipe.h"
#include "net/splice.h"
#include "runtime/co.h"
#include "runtime/sys.h"

#define SHORT_WAIT (50 * WEIR_MS)

enum { BULK = 24 * 1024 * 1024, MIB = 1024 * 1024 };

/* Both streams under test, and the other ends: what is written to `source` is to come out of
 * `sink`. */
struct path {
    void (*fn)(struct path *p);
    struct stream from, to;
    int source, sink;
    int from_fd, to_fd; /* before they are streams */
    bool tcp;
};

static unsigned char byte_at(size_t pos)
{
    return (unsigned char)(pos * 2654435761u >> 13);
}

static void path_strand(void *arg)
{
    struct path *p = arg;

    p->from = stream_of(p->from_fd, p->tcp);
    p->to = stream_of(p->to_fd, p->tcp);
    p->fn(p);
    stream_close(&p->from, false);
    stream_close(&p->to, false);
}

/* `source` and `sink` are closed by the case. */
static void path_open(struct path *p, void (*fn)(struct path *))
{
    int fd[2];

    p->fn = fn;
    (p->tcp ? tcp_pair : unix_pair)(fd);
    p->from_fd = fd[0];
    p->source = fd[1];
    (p->tcp ? tcp_pair : unix_pair)(fd);
    p->to_fd = fd[0];
    p->sink = fd[1];
}

static void over(bool tcp, void (*fn)(struct path *))
{
    struct path p = { .tcp = tcp };

    path_open(&p, fn);
    on_workers(1, path_strand, &p);
    pipes_free();
}

static void *feed(void *arg)
{
    const struct path *p = arg;
    static unsigned char bytes[300000];
    struct random r;
    size_t pos = 0;

    random_seed(&r, 3);
    while (pos < BULK) {
        size_t len = MIN(1 + random_below(&r, sizeof bytes), BULK - pos);

        for (size_t i = 0; i < len; i++)
            bytes[i] = byte_at(pos + i);
        ensure(send(p->source, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
        pos += len;
    }
    close(p->source);
    return NULL;
}

static void *drink(void *arg)
{
    const struct path *p = arg;
    static unsigned char bytes[100000];
    struct random r;
    size_t pos = 0;
    ssize_t n;

    random_seed(&r, 4);
    while ((n = recv(p->sink, bytes, 1 + random_below(&r, sizeof bytes), 0)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            ensure(bytes[i] == byte_at(pos + (size_t)i));
        pos += (size_t)n;
    }
    ensure(n == 0 && pos == BULK);
    close(p->sink);
    return NULL;
}

static void bulk_path(struct path *p)
{
    struct pace in = no_hurry(), out = no_hurry();
    size_t taken, all = 0;
    int rc;

    while ((rc = stream_splice(&p->from, &p->to, SIZE_MAX, &in, &out, &taken)) == SPLICE_MOVED) {
        ensure(taken > 0);
        all += taken;
        ensure(in.bytes == all && out.bytes == all);
    }
    ensure(rc == SPLICE_ENDED && taken == 0 && all == BULK);
}

static void everything_arrives(void **state)
{
    (void)state;
    for (int tcp = 0; tcp <= 1; tcp++) {
        struct path p = { .tcp = tcp };
        pthread_t threads[2];

        path_open(&p, bulk_path);
        assert_int_equal(pthread_create(&threads[0], NULL, feed, &p), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, drink, &p), 0);
        on_workers(2, path_strand, &p);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        pipes_free();
    }
}

static void no_more_path(struct path *p)
{
    struct pace in = no_hurry(), out = no_hurry();
    char bytes[16];
    size_t taken;

    ensure(send(p->source, "0123456789", 10, 0) == 10);
    ensure(stream_splice(&p->from, &p->to, 4, &in, &out, &taken) == SPLICE_MOVED && taken == 4);
    ensure(recv(p->sink, bytes, sizeof bytes, 0) == 4);
    ensure(stream_read(&p->from, bytes, sizeof bytes, &in) == 6);
    ensure(memcmp(bytes, "456789", 6) == 0);
    close(p->source);
    close(p->sink);
}

static void not_a_byte_more_than_asked(void **state)
{
    (void)state;
    over(true, no_more_path);
    over(false, no_more_path);
}

/* Nothing comes; then the bytes come that were waited for. */
static void slow_source_path(struct path *p)
{
    struct pace in = { .limit = NEVER, .gap = SHORT_WAIT, .gap_err = WEIR_EUPTIME };
    struct pace out = no_hurry();
    size_t taken;

    ensure(stream_splice(&p->from, &p->to, MIB, &in, &out, &taken) == WEIR_EUPTIME);
    ensure(taken == 0 && in.waited >= SHORT_WAIT);
    ensure(send(p->source, "abc", 3, 0) == 3);
    in.gap = PATIENCE * WEIR_SEC;
    ensure(stream_splice(&p->from, &p->to, MIB, &in, &out, &taken) == SPLICE_MOVED && taken == 3);
    in.gap = SHORT_WAIT; /* drained again, which only EAGAIN tells */
    ensure(stream_splice(&p->from, &p->to, MIB, &in, &out, &taken) == WEIR_EUPTIME);
    ensure(!stream_readable(&p->from));
    close(p->source);
    close(p->sink);
}

static void the_source_keeps_us_waiting(void **state)
{
    (void)state;
    over(true, slow_source_path);
    over(false, slow_source_path);
}

/* What waits for company does not wait for who keeps us waiting. */
static void held_path(struct path *p)
{
    struct pace in = { .limit = NEVER, .gap = SHORT_WAIT, .gap_err = WEIR_EUPTIME };
    struct pace out = no_hurry();
    struct iovec iov = { "head", 4 };
    char bytes[16];
    size_t taken;

    p->to.more = true;
    ensure(stream_write(&p->to, &iov, 1, &out) == 0 && p->to.held);
    ensure(recv(p->sink, bytes, sizeof bytes, MSG_DONTWAIT) < 0);
    ensure(stream_splice(&p->from, &p->to, MIB, &in, &out, &taken) == WEIR_EUPTIME);
    ensure(!p->to.held && recv(p->sink, bytes, sizeof bytes, 0) == 4);

    iov = (struct iovec){ "head", 4 };
    p->to.more = true;
    ensure(stream_write(&p->to, &iov, 1, &out) == 0);
    ensure(send(p->source, "body", 4, 0) == 4);
    in.gap = PATIENCE * WEIR_SEC;
    ensure(stream_splice(&p->from, &p->to, MIB, &in, &out, &taken) == SPLICE_MOVED && taken == 4);
    ensure(recv(p->sink, bytes, 8, MSG_WAITALL) == 8);
    close(p->source);
    close(p->sink);
}

static void what_is_held_back_leaves(void **state)
{
    (void)state;
    over(true, held_path);
}

static void *pour(void *arg)
{
    const struct path *p = arg;
    static char zeros[MIB];

    while (send(p->source, zeros, sizeof zeros, MSG_NOSIGNAL) > 0)
        ;
    close(p->source);
    return NULL;
}

/* Who reads nothing is cut at the deadline; what of it is in the pipe goes with the pipe. */
static void slow_sink_path(struct path *p)
{
    struct pace in = no_hurry();
    struct pace out = { .limit = NEVER, .gap = SHORT_WAIT, .gap_err = WEIR_ESENDTIME };
    size_t taken, all = 0;
    struct pipe pipe;
    char byte;
    int rc;

    while ((rc = stream_splice(&p->from, &p->to, SIZE_MAX, &in, &out, &taken)) == SPLICE_MOVED)
        all += taken;
    ensure(rc == WEIR_ESENDTIME && taken > 0);
    all += taken;
    ensure(in.bytes == all && out.bytes < all && out.bytes >= all - taken);
    ensure(pipe_take(&pipe));
    ensure(sys_read(pipe.out, &byte, 1) == -EAGAIN); /* not that one */
    pipe_give(&pipe, true);
    close(p->sink);
    stream_close(&p->from, true); /* so that the source ends */
}

static void the_sink_keeps_us_waiting(void **state)
{
    (void)state;
    for (int tcp = 0; tcp <= 1; tcp++) {
        struct path p = { .tcp = tcp };
        pthread_t thread;

        path_open(&p, slow_sink_path);
        assert_int_equal(pthread_create(&thread, NULL, pour, &p), 0);
        on_workers(1, path_strand, &p);
        pthread_join(thread, NULL);
        pipes_free();
    }
}

static void reset_by(int fd)
{
    const struct linger at_once = { .l_onoff = 1 };

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static void resets_path(struct path *p)
{
    struct pace in = no_hurry(), out = no_hurry();
    size_t taken;
    int rc;

    p->from.reset_err = WEIR_EUPRESET;
    p->to.reset_err = WEIR_ECLIENTGONE;
    reset_by(p->sink);
    do {
        ensure(send(p->source, "abc", 3, 0) == 3);
        rc = stream_splice(&p->from, &p->to, MIB, &in, &out, &taken);
    } while (rc == SPLICE_MOVED);
    ensure(rc == WEIR_ECLIENTGONE && taken == 3);
    reset_by(p->source);
    rc = stream_splice(&p->from, &p->to, MIB, &in, &out, &taken);
    ensure(rc == WEIR_EUPRESET && taken == 0);
}

static void resets_have_their_names(void **state)
{
    (void)state;
    over(true, resets_path);
}

static void pipes_are_kept(void **state)
{
    struct pipe p, again, held[PIPES_MAX];

    (void)state;
    assert_true(pipe_take(&p));
    pipe_give(&p, true);
    assert_true(pipe_take(&again));
    assert_int_equal(again.in, p.in);
    assert_int_equal(sys_write(again.in, "x", 1), 1);
    pipe_give(&again, false); /* thrown away, and the next is another, empty one */
    for (unsigned i = 0; i < PIPES_MAX; i++)
        assert_true(pipe_take(&held[i]));
    assert_false(pipe_take(&p)); /* so many, and no more */
    for (unsigned i = 0; i < PIPES_MAX; i++)
        pipe_give(&held[i], true);
    assert_true(pipe_take(&p));
    pipe_give(&p, true);
    pipes_free();
    assert_true(fcntl(p.in, F_GETFD) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives),
        cmocka_unit_test(not_a_byte_more_than_asked),
        cmocka_unit_test(the_source_keeps_us_waiting),
        cmocka_unit_test(the_sink_keeps_us_waiting),
        cmocka_unit_test(what_is_held_back_leaves),
        cmocka_unit_test(resets_have_their_names),
        cmocka_unit_test(pipes_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
