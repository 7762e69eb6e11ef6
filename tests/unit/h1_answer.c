/* h1_answer.c -- tells another program what the codec makes of messages (h1_against_h11.py).
 *
 * Reads records from its input: a letter (Q a request, G, H or C a response to GET, HEAD or
 * CONNECT), the length of the message in four bytes, lowest first, the message. Writes a line for
 * each: the result, then words of hex digits. With --cases it writes all cases of the tables as
 * such records. */
#include "h1_feed.h"

static void put_record(char kind, weir_str in)
{
    uint32_t len = (uint32_t)in.len;

    putchar(kind);
    fwrite(&len, sizeof(len), 1, stdout);
    fwrite(in.ptr, 1, in.len, stdout);
}

static void put_cases(void)
{
    for (size_t i = 0; i < request_case_count; i++) {
        if (request_cases[i].title == NULL)
            put_record('Q', request_cases[i].in);
    }
    for (size_t i = 0; i < response_case_count; i++) {
        enum method method = response_cases[i].method;

        if (response_cases[i].title == NULL)
            put_record(method == METHOD_HEAD      ? 'H'
                       : method == METHOD_CONNECT ? 'C'
                                                  : 'G',
                       response_cases[i].in);
    }
}

static void put_hex(const char *name, weir_str text)
{
    printf(" %s=", name);
    for (size_t i = 0; i < text.len; i++)
        printf("%02x", (unsigned char)text.ptr[i]);
}

static void put_fields(const char *kind, const struct weir_head *head)
{
    weir_str name, value;

    for (size_t i = 0; weir_head_at(head, i, &name, &value); i++) {
        put_hex(kind, name);
        put_hex("is", value);
    }
}

static void answer(char kind, weir_str in)
{
    enum method method = kind == 'H' ? METHOD_HEAD : kind == 'C' ? METHOD_CONNECT : METHOD_GET;
    struct fed f;

    feed(&f, in, kind == 'Q' ? H1_REQUEST : H1_RESPONSE, method, FEED_WHOLE, NULL);
    printf("%d", f.rc);
    if (f.rc == 0) {
        printf(" status=%d left=%zu", f.head.status, f.left);
        put_hex("method", f.head.method);
        put_hex("target", f.head.target);
        put_hex("body", f.body);
        put_fields("field", &f.head);
        put_fields("trailer", &f.trailers);
    }
    putchar('\n');
    fed_done(&f);
}

int main(int argc, char **argv)
{
    uint32_t len;
    int kind;

    if (argc == 2 && strcmp(argv[1], "--cases") == 0) {
        put_cases();
        return 0;
    }
    while ((kind = getchar()) != EOF) {
        char *text;

        if (fread(&len, sizeof(len), 1, stdin) != 1 || len > 1 << 20)
            return 2;
        text = malloc(len + 1);
        if (text == NULL || fread(text, 1, len, stdin) != len)
            return 2;
        answer((char)kind, (weir_str){ text, len });
        free(text);
    }
    return 0;
}
