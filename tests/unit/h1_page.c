/* h1_page.c -- prints docs/http1.md from the tables of cases and from what the codec answers. */
#include "h1_feed.h"

static const char intro[] =
    "# HTTP/1: what is accepted, and what is refused\n"
    "\n"
    "This page is printed from the table that the tests feed to the parser, "
    "`tests/unit/h1_requests.inc` and\n"
    "`tests/unit/h1_responses.inc`: each row whole, byte by byte and in random splits, by each "
    "kind of vector\n"
    "instructions. A test fails when this file differs from what they print; `test_h1_cases "
    "--page` prints it\n"
    "anew.\n"
    "\n"
    "Strict on both sides: what two readers could understand in two ways is refused, whatever a "
    "lenient peer\n"
    "would do, and nothing is repaired. What goes on is always printed anew from what was "
    "understood; no byte\n"
    "of a head, a chunk size or a chunk extension is passed through.\n"
    "\n"
    "- **A refused request** gets the status that is shown, with a small body, and the connection "
    "ends behind\n"
    "  it: nobody knows where the next request would begin. The log has the word (`why=`) and the "
    "reason. Nothing\n"
    "  of a request whose head is refused goes upstream; if the body turns out to be malformed "
    "later, the upstream\n"
    "  connection is cut off, so that the request never looks complete there.\n"
    "- **A refused response** becomes a 502 if its head has not been passed on yet. Later, the "
    "client's connection is\n"
    "  cut off, so that the answer never looks complete. The upstream connection is closed in any "
    "case.\n"
    "- **Incomplete** means that the input ends here: a client that waits gets 408 at its "
    "deadline, one that closes gets\n"
    "  nothing; a response that is cut off is a 502, or is seen to be cut off.\n"
    "- What is understood is written as `METHOD target host {field} 'body' [trailer]`, `-` for no "
    "host, or as\n"
    "  `status {field} 'body' [trailer]` with interim responses before it. Fields of this hop are "
    "gone, `(5)` is a\n"
    "  length that is stated without a body, `+5` are bytes behind the message. `x{255}` stands "
    "for that many.\n"
    "- **Next** tells whether the connection serves another message behind this one.\n"
    "\n"
    "## What is not seen in bytes\n"
    "\n"
    "- **A client that leaves** cancels what is done for it, at once (`why=client_gone`). A reset is "
    "that, and so is\n"
    "  a FIN that comes while the client waits: close() and shutdown(SHUT_WR) look the same from "
    "here, and hardly\n"
    "  any client waits behind the latter. A FIN that is there when the request is read, as behind "
    "requests that are\n"
    "  pipelined, only says that no more will come (RFC 9112 9.6): all of them are answered. So "
    "is what we answer\n"
    "  ourselves without waiting; and with `--finish-when-client-leaves` every client that still "
    "reads.\n"
    "- **Expect**: 100-continue goes upstream, and the upstream's 100 comes back; after a second "
    "without one the client\n"
    "  gets ours. Where no body follows, and from HTTP/1.0, it goes no further. Any other "
    "expectation is refused: 417\n"
    "  (RFC 9110 10.1.1).\n"
    "\n"
    "More that is not about bytes has its own place: deadlines and bounds in [options.md](options.md), "
    "the words of the log\n"
    "in [log.md](log.md).\n";

/* A byte of a code span in a table. */
static void print_byte(FILE *out, unsigned char c)
{
    if (c == '\r')
        fputs("\\r", out);
    else if (c == '\n')
        fputs("\\n", out);
    else if (c == '\t')
        fputs("\\t", out);
    else if (c == '|' || c == '\\')
        fprintf(out, "\\%c", c);
    else if (c < 0x20 || c >= 0x7f)
        fprintf(out, "\\x%02x", c);
    else
        fputc(c, out);
}

/* A text as code, bytes in a long row counted; with a backtick in it the fence is longer. */
static void print_code(FILE *out, weir_str text)
{
    bool fence = memchr(text.ptr, '`', text.len) != NULL;

    if (text.len == 0) {
        fputs("(nothing)", out);
        return;
    }
    fputs(fence ? "`` " : "`", out);
    for (size_t i = 0, run; i < text.len; i += run) {
        run = 1;
        while (i + run < text.len && text.ptr[i + run] == text.ptr[i])
            run++;
        run = run > 20 ? run : 1;
        print_byte(out, (unsigned char)text.ptr[i]);
        if (run > 1)
            fprintf(out, "{%zu}", run);
    }
    fputs(fence ? " ``" : "`", out);
}

static void print_case(FILE *out, const struct h1_case *c, enum h1_side side)
{
    static const char *const methods[] = {
        [METHOD_HEAD] = "to HEAD: ", [METHOD_CONNECT] = "to CONNECT: ", [METHOD_PATCH] = NULL
    };
    struct fed f;

    feed(&f, c->in, side, c->method, FEED_WHOLE, NULL);
    fputs("| ", out);
    if (methods[c->method] != NULL)
        fputs(methods[c->method], out);
    print_code(out, c->in);
    fputs(" | ", out);
    if (f.rc == 0)
        print_code(out, weir_str_from(fed_text(&f)));
    else if (f.rc == FED_CUT)
        fputs("incomplete", out);
    else
        fprintf(out, "**%d** %s: %s", weir_error_status(f.rc), weir_error_why(f.rc), f.reason);
    fprintf(out, " | %s | %s |\n", f.goes_on ? "yes" : "no", c->why);
    fed_done(&f);
}

static void print_table(FILE *out, const struct h1_case *cases, size_t count, enum h1_side side)
{
    for (size_t i = 0; i < count; i++) {
        if (cases[i].title != NULL)
            fprintf(out,
                    "\n### %s: %s\n\n%s\n\n| input | answer | next | why |\n|---|---|---|---|\n",
                    side == H1_REQUEST ? "Requests" : "Responses", cases[i].title, cases[i].prose);
        else
            print_case(out, &cases[i], side);
    }
}

void print_page(FILE *out)
{
    fputs(intro, out);
    fputs("\n## Requests\n", out);
    print_table(out, request_cases, request_case_count, H1_REQUEST);
    fputs("\n## Responses\n", out);
    print_table(out, response_cases, response_case_count, H1_RESPONSE);
}
