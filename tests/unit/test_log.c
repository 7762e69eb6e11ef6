/* test_log.c -- the log thread: files, their reopening, a callback, a full disk, a reader that
 * does not read; and nothing is left behind at the end. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases.h"
#include "server/log.h"

static char folder[] = "/tmp/test_log.XXXXXX";
static char why[512];

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % ARRAY_LEN(paths)];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static const char *contents(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n >= 0 ? text : "(no file)";
}

static void start(const char *access, const char *error)
{
    if (log_start(access, error, why, sizeof(why)) < 0)
        fail_msg("log_start: %s", why);
}

static void lines_go_to_their_files(void **state)
{
    const char *access = in_folder("access"), *error = in_folder("error");
    char text[256];

    (void)state;
    start(access, error);
    log_line(LOG_ACCESS, LIT("one\n"));
    log_line(LOG_ERROR, LIT("wrong\n"));
    log_line(LOG_ACCESS, LIT("two\n"));
    log_stop();
    assert_string_equal(contents(access, text, sizeof(text)), "one\ntwo\n");
    assert_string_equal(contents(error, text, sizeof(text)), "wrong\n");

    start(access, "off"); /* appends */
    log_line(LOG_ACCESS, LIT("three\n"));
    log_line(LOG_ERROR, LIT("nobody sees this\n"));
    log_stop();
    assert_string_equal(contents(access, text, sizeof(text)), "one\ntwo\nthree\n");
}

static void a_file_that_cannot_be_opened(void **state)
{
    (void)state;
    assert_true(log_start(in_folder("none/access"), "off", why, sizeof(why)) < 0);
    assert_non_null(strstr(why, "--access-log: \""));
    assert_non_null(strstr(why, "none/access\" cannot be opened: No such file or directory"));
    assert_null(log_sink);
}

static void wait_for_file(const char *path)
{
    struct stat st;

    for (int i = 0; i < 10000 && stat(path, &st) != 0; i++)
        usleep(1000);
    assert_int_equal(stat(path, &st), 0);
}

static void reopening(void **state)
{
    const char *path = in_folder("rotated"), *moved = in_folder("rotated.1");
    char text[256];

    (void)state;
    start(path, "off");
    log_line(LOG_ACCESS, LIT("one\n"));
    for (int i = 0; i < 10000 && strcmp(contents(path, text, sizeof(text)), "one\n") != 0; i++)
        usleep(1000);
    assert_int_equal(rename(path, moved), 0);
    log_reopen();
    wait_for_file(path);
    log_line(LOG_ACCESS, LIT("two\n"));
    log_stop();
    assert_string_equal(contents(moved, text, sizeof(text)), "one\n");
    assert_string_equal(contents(path, text, sizeof(text)), "two\n");
}

/* ---- the callback ---------------------------------------------------------------------------- */

struct heard {
    char text[2][8192];
    unsigned lines[2];
};

static void hear(void *arg, bool error, weir_str line)
{
    struct heard *h = arg;
    size_t len = strlen(h->text[error]);

    assert_null(memchr(line.ptr, '\n', line.len));
    h->lines[error]++;
    if (len + line.len + 2 < sizeof(h->text[error]))
        snprintf(h->text[error] + len, sizeof(h->text[error]) - len, WEIR_FMT "|", WEIR_ARG(line));
}

static void a_callback_takes_all(void **state)
{
    struct heard h = { 0 };

    (void)state;
    log_call_back(hear, &h);
    log_say("before %d", 1);
    start(in_folder("none/access"), "-"); /* not opened at all */
    log_line(LOG_ACCESS, LIT("one\n"));
    log_line(LOG_ACCESS, LIT("two\n"));
    log_line(LOG_ERROR, LIT("wrong\n"));
    log_say("within");
    log_stop();
    log_say("after");
    log_call_back(NULL, NULL);
    assert_string_equal(h.text[0], "one|two|");
    assert_string_equal(h.text[1], "before 1|wrong|within|after|");
}

/* Lines of many lengths, so that the ring's end falls within lines; each arrives as it was. */
static void check_line(void *arg, bool error, weir_str line)
{
    unsigned *count = arg;

    (void)error;
    if (line.len > 0 && line.ptr[0] == '{')
        return; /* lines lost */
    for (size_t i = 0; i < line.len; i++)
        assert_int_equal(line.ptr[i], 'a' + (int)(line.len % 26));
    (*count)++;
}

static void split_lines_are_put_together(void **state)
{
    enum { COUNT = 20000 };
    unsigned count = 0;
    char line[1024];

    (void)state;
    log_call_back(check_line, &count);
    start("-", "-");
    for (unsigned i = 0; i < COUNT; i++) {
        size_t len = i * 37 % 1000;

        memset(line, 'a' + (int)(len % 26), len);
        line[len] = '\n';
        log_line(LOG_ACCESS, (weir_str){ line, len + 1 });
        if (i % 512 == 0)
            usleep(100);
    }
    log_stop();
    log_call_back(NULL, NULL);
    assert_true(count > 0 && count <= COUNT);
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void a_full_disk_is_counted(void **state)
{
    const char *error = in_folder("lost");
    char text[512];

    (void)state;
    start("/dev/full", error);
    log_line(LOG_ACCESS, LIT("one\n"));
    log_line(LOG_ACCESS, LIT("two\n"));
    log_stop();
    contents(error, text, sizeof(text));
    assert_non_null(strstr(text, "\"msg\":\"log lines lost\",\"log\":\"access\",\"lost\":2}\n"));
}

/* More than a pipe holds, and nobody reads: writers never wait, and the end comes all the same. */
static void a_reader_that_does_not_read(void **state)
{
    const char *path = in_folder("pipe");
    char line[1024];
    int reader;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    start(path, in_folder("pipe_errors"));
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (int i = 0; i < 4096; i++)
        log_line(LOG_ACCESS, (weir_str){ line, sizeof(line) });
    log_stop();
    assert_true(read(reader, line, sizeof(line)) > 0);
    close(reader);
    contents(in_folder("pipe_errors"), line, sizeof(line));
    assert_non_null(strstr(line, "\"log lines lost\""));
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    static const char *const names[] = { "access", "error", "rotated",    "rotated.1",
                                         "lost",   "pipe",  "pipe_errors" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(in_folder(names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_to_their_files),
        cmocka_unit_test(a_file_that_cannot_be_opened),
        cmocka_unit_test(reopening),
        cmocka_unit_test(a_callback_takes_all),
        cmocka_unit_test(split_lines_are_put_together),
        cmocka_unit_test(a_full_disk_is_counted),
        cmocka_unit_test(a_reader_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
