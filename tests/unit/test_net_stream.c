/* test_net_stream.c -- reading and writing over real sockets: everything arrives, every bound
 * ends a wait, every end is told from every other. */
#include "workers.h"

#include "runtime/co.h"
#include "runtime/sys.h"

#define SHORT_WAIT (50 * WEIR_MS)

/* Each case on a connected pair: `st` is the stream under test, `fd` the other end, blocking. */
struct bench {
    void (*fn)(struct stream *st, int fd);
    bool tcp;
};

static void bench_strand(void *arg)
{
    const struct bench *b = arg;
    int fd[2];

    (b->tcp ? tcp_pair : unix_pair)(fd);
    struct stream st = stream_of(fd[0], b->tcp);

    b->fn(&st, fd[1]);
    stream_close(&st, false);
    ensure(st.slot == NULL);
}

static void over_tcp(void (*fn)(struct stream *st, int fd))
{
    on_workers(1, bench_strand, &(struct bench){ fn, true });
}

static void over_both(void (*fn)(struct stream *st, int fd))
{
    on_workers(1, bench_strand, &(struct bench){ fn, false });
    over_tcp(fn);
}

static int write_text(struct stream *st, const char *text, struct pace *pace)
{
    struct iovec iov = { .iov_base = (char *)text, .iov_len = strlen(text) };

    return stream_write(st, &iov, 1, pace);
}

/* Bulk: bytes that follow from their position, so that every loss or repetition shows. */

enum { BULK = 6 * 1024 * 1024 };

static unsigned char byte_at(size_t pos)
{
    return (unsigned char)(pos * 2654435761u >> 13);
}

struct bulk {
    int fd[2];
    bool tcp;
};

static void bulk_writer(void *arg)
{
    const struct bulk *b = arg;
    struct stream st = stream_of(b->fd[0], b->tcp);
    struct pace pace = no_hurry();
    struct random r;
    size_t pos = 0;
    static unsigned char bytes[200000];

    random_seed(&r, 1);
    while (pos < BULK) {
        size_t len = MIN(1 + random_below(&r, sizeof bytes), BULK - pos);
        size_t cut = random_below(&r, len + 1), cut2 = cut + random_below(&r, len - cut + 1);
        struct iovec iov[] = { /* some pieces are empty */
                               { bytes, cut },
                               { bytes + cut, 0 },
                               { bytes + cut, cut2 - cut },
                               { bytes + cut2, len - cut2 }
        };

        for (size_t i = 0; i < len; i++)
            bytes[i] = byte_at(pos + i);
        ensure(stream_write(&st, iov, ARRAY_LEN(iov), &pace) == 0);
        pos += len;
        ensure(pace.bytes == pos);
    }
    stream_close(&st, false);
}

static void bulk_reader(void *arg)
{
    const struct bulk *b = arg;
    struct stream st = stream_of(b->fd[1], b->tcp);
    struct pace pace = no_hurry();
    struct random r;
    size_t pos = 0;
    unsigned char bytes[8192];
    ssize_t n;

    random_seed(&r, 2);
    while ((n = stream_read(&st, bytes, 1 + random_below(&r, sizeof bytes), &pace)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            ensure(bytes[i] == byte_at(pos + (size_t)i));
        pos += (size_t)n;
    }
    ensure(n == 0);
    ensure(pos == BULK && pace.bytes == pos);
    stream_close(&st, false);
}

static void bulk(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        for (int tcp = 0; tcp <= 1; tcp++) {
            struct bulk b = { .tcp = tcp };

            (tcp ? tcp_pair : unix_pair)(b.fd);
            workers_start(n);
            workers_run(0, bulk_reader, &b);
            workers_run(n - 1, bulk_writer, &b);
            workers_join();
            workers_stop();
        }
    }
}

/* Bounds */

static void gap_strand(struct stream *st, int fd)
{
    struct pace pace = { .limit = NEVER, .gap = SHORT_WAIT, .gap_err = WEIR_EBODYTIME };
    char byte;

    ensure(stream_read(st, &byte, 1, &pace) == WEIR_EBODYTIME);
    ensure(pace.waited >= SHORT_WAIT && pace.bytes == 0);
    ensure(send(fd, "ab", 2, 0) == 2); /* a timeout breaks nothing */
    pace.gap = PATIENCE * WEIR_SEC;
    ensure(stream_read(st, &byte, 1, &pace) == 1 && byte == 'a');
    ensure(stream_read(st, &byte, 1, &pace) == 1 && byte == 'b');
    pace.limit = (struct deadline){ .at = rt_now() + SHORT_WAIT, .err = WEIR_EHEADTIME };
    ensure(stream_read(st, &byte, 1, &pace) == WEIR_EHEADTIME);
    ensure(stream_wait_readable(st, &pace) == WEIR_EHEADTIME);
    close(fd);
}

static void rate_strand(struct stream *st, int fd)
{
    struct pace pace = no_hurry();
    char byte;

    pace.min_rate = 256;
    pace.rate_err = WEIR_ESLOWBODY;
    pace.waited = PACE_GRACE - SHORT_WAIT; /* as if it had trickled so far */
    ensure(stream_read(st, &byte, 1, &pace) == WEIR_ESLOWBODY);
    ensure(pace.waited >= PACE_GRACE);
    close(fd);
}

static void look_strand(struct stream *st, int fd)
{
    struct pace pace = { .limit = { .at = 0, .err = WEIR_EIDLETIME }, .gap = WEIR_FOREVER };
    struct pace patient = no_hurry();
    char bytes[8];

    ensure(stream_read(st, bytes, sizeof bytes, &pace) == WEIR_EIDLETIME);
    ensure(stream_wait_readable(st, &pace) == WEIR_EIDLETIME);
    ensure(!stream_readable(st));
    ensure(send(fd, "abc", 3, 0) == 3);
    ensure(stream_wait_readable(st, &patient) == 0);
    ensure(stream_readable(st));
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == 3);
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == WEIR_EIDLETIME);
    close(fd);
}

static void stalled_reader_strand(struct stream *st, int fd)
{
    struct pace pace = { .limit = NEVER, .gap = SHORT_WAIT, .gap_err = WEIR_ESENDTIME };
    size_t len = 64u << 20, got = 0;
    char *much = calloc(1, len), sink[65536];
    struct iovec iov = { much, len };
    ssize_t n;

    ensure(much != NULL);
    ensure(stream_write(st, &iov, 1, &pace) == WEIR_ESENDTIME);
    ensure(pace.bytes > 0 && pace.bytes < len);
    stream_close(st, false);
    while ((n = recv(fd, sink, sizeof sink, 0)) > 0)
        got += (size_t)n;
    ensure(n == 0 && got == pace.bytes);
    free(much);
    close(fd);
}

static void the_gap_ends_a_wait(void **state)
{
    (void)state;
    over_both(gap_strand);
}

static void the_rate_ends_a_wait(void **state)
{
    (void)state;
    over_tcp(rate_strand);
}

static void a_limit_in_the_past_looks_once(void **state)
{
    (void)state;
    over_both(look_strand);
}

static void a_reader_that_stalls(void **state)
{
    (void)state;
    over_both(stalled_reader_strand);
}

/* Calls: what need not wait is one system call. Without WEIR_COUNT none is counted. */

static uint64_t calls_so_far(void)
{
    struct sys_counts counts;
    uint64_t n = 0;

    sys_counts(&counts);
    for (size_t i = 0; i < CALL_COUNT; i++)
        n += counts.calls[i];
    return n;
}

static void calls_strand(struct stream *st, int fd)
{
    struct pace pace = no_hurry();
    struct iovec iov[] = { { "", 0 }, { "ab", 2 }, { "", 0 }, { "cd", 2 } };
    char bytes[64];
    uint64_t before, one;

    ensure(send(fd, "hello", 5, 0) == 5);
    ensure(stream_wait_readable(st, &pace) == 0);
    before = calls_so_far();
    one = before > 0;
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == 5);
    ensure(!stream_readable(st)); /* it was short: no second call tells that */
    ensure(!stream_gone(st));
    ensure(calls_so_far() == before + one);
    ensure(write_text(st, "hello", &pace) == 0);
    ensure(calls_so_far() == before + 2 * one);
    ensure(stream_write(st, iov, ARRAY_LEN(iov), &pace) == 0);
    ensure(calls_so_far() == before + 3 * one);
    close(fd);
}

static void calls(void **state)
{
    (void)state;
    over_tcp(calls_strand);
}

/* Ends */

/* Data and FIN in one event: a short read must not hide the end (RUNTIME.md B1). */
static void data_and_end_strand(struct stream *st, int fd)
{
    struct pace pace = no_hurry();
    char bytes[64];

    ensure(send(fd, "last", 4, 0) == 4);
    close(fd);
    ensure(stream_wait_readable(st, &pace) == 0);
    AWAIT(slot_flags(slot_load(st->slot, DIR_IN)) & SLOT_HUP);
    ensure(!stream_gone(st)); /* something is unread */
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == 4);
    ensure(stream_gone(st));
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == 0);
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == 0);
}

static void half_close_strand(struct stream *st, int fd)
{
    struct pace pace = no_hurry();
    char bytes[8];

    ensure(!stream_gone(st));
    ensure(shutdown(fd, SHUT_WR) == 0);
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == 0);
    ensure(stream_gone(st));
    ensure(write_text(st, "still", &pace) == 0); /* it only stopped sending */
    ensure(recv(fd, bytes, sizeof bytes, 0) == 5);
    close(fd);
}

static void reset_strand(struct stream *st, int fd)
{
    struct pace pace = no_hurry();
    char byte;

    close_by_reset(fd);
    ensure(stream_read(st, &byte, 1, &pace) == WEIR_EUPRESET);
    ensure(stream_gone(st));
    ensure(write_text(st, "a", &pace) == WEIR_EUPRESET);
}

static void gone_reader_strand(struct stream *st, int fd)
{
    struct pace pace = no_hurry();
    int rc;

    st->reset_err = WEIR_ECLIENTGONE;
    close(fd);
    do /* over TCP the first write may still find a connection */
        rc = write_text(st, "a", &pace);
    while (rc == 0);
    ensure(rc == WEIR_ECLIENTGONE);
}

static void close_strand(struct stream *st, int fd)
{
    char byte;

    stream_close(st, false);
    ensure(recv(fd, &byte, 1, 0) == 0);
    close(fd);
}

static void cut_strand(struct stream *st, int fd)
{
    char byte;

    stream_close(st, true);
    ensure(recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET);
    close(fd);
}

static void data_with_its_end(void **state)
{
    (void)state;
    over_both(data_and_end_strand);
}

static void a_half_closed_peer(void **state)
{
    (void)state;
    over_both(half_close_strand);
}

static void a_reset(void **state)
{
    (void)state;
    over_tcp(reset_strand);
}

static void a_reader_that_left(void **state)
{
    (void)state;
    over_both(gone_reader_strand);
}

static void closing(void **state)
{
    (void)state;
    over_both(close_strand);
    over_tcp(cut_strand);
}

/* Cancelling */

static _Atomic strand_ref victim;

static void canceled_strand(struct stream *st, int fd)
{
    struct pace pace = no_hurry();
    char bytes[8];

    atomic_store(&victim, strand_self());
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == WEIR_ECANCELED);
    ensure(send(fd, "abc", 3, 0) == 3); /* sticky, and nothing is lost */
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == WEIR_ECANCELED);
    ensure(stream_wait_readable(st, &pace) == WEIR_ECANCELED);
    ensure(write_text(st, "a", &pace) == WEIR_ECANCELED);
    co_mask();
    ensure(stream_read(st, bytes, sizeof bytes, &pace) == 3);
    co_unmask();
    close(fd);
}

static void canceler(void *arg)
{
    (void)arg;
    AWAIT(atomic_load(&victim) != 0);
    strand_cancel(atomic_load(&victim), WEIR_ESHUTDOWN);
}

static void cancelling(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        atomic_store(&victim, 0);
        workers_start(n);
        workers_run(0, bench_strand, &(struct bench){ canceled_strand, true });
        workers_run(n - 1, canceler, NULL);
        workers_join();
        workers_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulk),
        cmocka_unit_test(the_gap_ends_a_wait),
        cmocka_unit_test(the_rate_ends_a_wait),
        cmocka_unit_test(a_limit_in_the_past_looks_once),
        cmocka_unit_test(a_reader_that_stalls),
        cmocka_unit_test(calls),
        cmocka_unit_test(data_with_its_end),
        cmocka_unit_test(a_half_closed_peer),
        cmocka_unit_test(a_reset),
        cmocka_unit_test(a_reader_that_left),
        cmocka_unit_test(closing),
        cmocka_unit_test(cancelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
