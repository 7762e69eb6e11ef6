/* test_log_ring.c -- lines come out whole, in order and once, or are counted as lost. */
#include <pthread.h>

#include "cases.h"
#include "server/log_ring.h"

static enum ring_news put(struct log_ring *r, const char *line)
{
    return ring_put(r, weir_str_from(line));
}

/* All that is there, as a text; dropped. */
static const char *take(struct log_ring *r, char *text)
{
    struct iovec iov[2];
    size_t len = 0;
    int n = ring_peek(r, iov);

    for (int i = 0; i < n; i++) {
        memcpy(text + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    text[len] = '\0';
    if (n > 0)
        ring_drop(r, len);
    return text;
}

static void lines_come_out_in_order(void **state)
{
    struct log_ring r;
    char text[64];

    (void)state;
    assert_int_equal(ring_init(&r, 16), 0);
    assert_string_equal(take(&r, text), "");
    for (int i = 0; i < 50; i++) { /* over the end of the ring, at every place */
        assert_int_equal(put(&r, "abc\n"), RING_FIRST);
        assert_int_equal(put(&r, "d\n"), RING_SAME);
        assert_int_equal(put(&r, "efg\n"), RING_HALF);
        assert_string_equal(take(&r, text), "abc\nd\nefg\n");
    }
    assert_int_equal(ring_lost(&r), 0);
    ring_done(&r);
}

static void what_finds_no_room_is_counted(void **state)
{
    struct log_ring r;
    char text[64];

    (void)state;
    assert_int_equal(ring_init(&r, 16), 0);
    put(&r, "0123456789abcdef\n"); /* never fits */
    put(&r, "0123456789\n");
    put(&r, "abcdef\n"); /* one byte too many */
    put(&r, "abcd\n");   /* exactly */
    put(&r, "x\n");
    assert_string_equal(take(&r, text), "0123456789\nabcd\n");
    assert_int_equal(ring_lost(&r), 3);
    assert_int_equal(ring_lost(&r), 0);
    ring_done(&r);
}

static void what_was_peeked_stays_until_dropped(void **state)
{
    struct log_ring r;
    struct iovec iov[2];
    char text[64];

    (void)state;
    assert_int_equal(ring_init(&r, 16), 0);
    put(&r, "one\n");
    assert_int_equal(ring_peek(&r, iov), 1);
    put(&r, "two\n");
    assert_memory_equal(iov[0].iov_base, "one\n", 4);
    ring_drop(&r, iov[0].iov_len);
    assert_string_equal(take(&r, text), "two\n");
    ring_done(&r);
}

/* ---- several threads ------------------------------------------------------------------------- */

enum { WRITERS = 4, LINES = 20000 };

struct writer {
    struct log_ring *ring;
    int number;
    pthread_t thread;
};

static void *write_lines(void *arg)
{
    struct writer *w = arg;
    char line[32];

    for (int i = 0; i < LINES; i++) {
        snprintf(line, sizeof(line), "%d:%d\n", w->number, i);
        put(w->ring, line);
    }
    return NULL;
}

/* Each writer's numbers grow; how many lines there were. */
static uint64_t check_lines(char *text, int next[WRITERS])
{
    uint64_t lines = 0;

    for (char *at = text, *end; *at != '\0'; at = end + 1) {
        int writer, number;

        end = strchr(at, '\n');
        assert_non_null(end);
        assert_int_equal(sscanf(at, "%d:%d", &writer, &number), 2);
        assert_true(writer >= 0 && writer < WRITERS && number >= next[writer]);
        next[writer] = number + 1;
        lines++;
    }
    return lines;
}

static void many_writers(void **state)
{
    struct writer writers[WRITERS];
    struct log_ring r;
    uint64_t seen = 0, lost = 0;
    int next[WRITERS] = { 0 };
    char text[4096 + 1];

    (void)state;
    assert_int_equal(ring_init(&r, 4096), 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .ring = &r, .number = i };
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_lines, &writers[i]), 0);
    }
    while (seen + lost < (uint64_t)WRITERS * LINES) {
        seen += check_lines((char *)take(&r, text), next);
        lost += ring_lost(&r);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    assert_int_equal(seen + lost, WRITERS * LINES);
    assert_string_equal(take(&r, text), "");
    ring_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_in_order),
        cmocka_unit_test(what_finds_no_room_is_counted),
        cmocka_unit_test(what_was_peeked_stays_until_dropped),
        cmocka_unit_test(many_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
