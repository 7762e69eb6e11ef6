/* body.h -- bodies as text that one reads and writes: straight-line editors.
 *
 * An editor is a function that reads a body piece by piece and writes what is to take its place. It
 * runs once for a body, on a coroutine of its request, and may wait for whatever it likes (a fetch,
 * a sleep, a channel): only its body waits with it.
 *
 *     static int sign_page(struct weir_session *s, struct weir_body *in, struct weir_body *out)
 *     {
 *         weir_str chunk;
 *         int      rc;
 *
 *         while ((rc = weir_read(in, &chunk)) > 0)
 *             weir_write(out, chunk);
 *         if (rc == 0)                            // a truncated page must not look complete
 *             weir_write(out, "<!-- signed -->");
 *         return rc;
 *     }
 *
 * What it returns:
 * - 0: the output is complete. What it has not read of its input is not read any more.
 * - negative: the request fails with it (an error of weir_read, or of weir_fail). A head that has
 *   not left yet gives way to an error page; otherwise the message ends cut off, for the peer to
 *   see. An error of weir_read or weir_write fails the request even if the editor returns 0.
 * - WEIR_ANSWERED after weir_respond or weir_send, while no response head has left.
 *
 * The head leaves with the first byte of the output, and with a Content-Length if all of the output
 * was there by then; otherwise the length is unknown (chunked). What else a changed body means for
 * the fields is told in <weir/proxy.h>, "Bodies". Editors do not run where there is no body (HEAD,
 * 204, 304, a request without one); the fields are adapted all the same. */
#ifndef WEIR_BODY_H
#define WEIR_BODY_H

#include <weir/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_body;

/* An editor: see above. */
typedef int weir_body_editor(struct weir_session *s, struct weir_body *in, struct weir_body *out);

/* From upstream_response_filter or response_filter: the response body passes through `editor`. From
 * a phase before them, upstream_request_filter at the latest: the request body does (what is set in
 * upstream_request_filter counts for that try alone). Up to 4 in each direction; each reads what
 * the one before wrote, behind the per-chunk body filters. More, and later ones, fail the phase
 * with WEIR_EINVALID.
 *
 * A part cannot be edited as if it were the whole: where a Range had gone upstream already and the
 * answer is a 206, the request is sent once more without it. Never blocks. */
void weir_edit_body(struct weir_session *s, weir_body_editor *editor);

/* The next piece of the body: 1 and *chunk (never empty, lives until the next call), 0 at its end,
 * or an error, which stays. Before it waits, what was written so far goes out. Blocks. */
int weir_read(struct weir_body *in, weir_str *chunk);

/* Writes a piece (weir_write takes text, too). Short ones are copied and gathered, others are
 * handed over: it returns when they are taken. 0; or an error, which stays, so that it may be
 * ignored: the peer is gone, and writing more is in vain. May block. */
int weir_body_write(struct weir_body *out, weir_str chunk);

/* Sends what was gathered: before an editor waits for something but its input. As
 * weir_body_write; may block. */
int weir_flush(struct weir_body *out);

#ifdef __cplusplus
}
#endif

/* weir_body_write, for C strings and slices. */
#define weir_write(out, chunk) weir_body_write((out), WEIR(chunk))

#endif
