/* editor.c -- body editors, one after the other, each a loop of reads and writes.
 *
 * Between two of them is a place for one piece: the writer fills it and waits until the reader
 * comes back for the next one, so that a piece is never copied and nothing piles up. */
#include "proxy/editor.h"

#include "runtime/buf.h"
#include "runtime/event.h"
#include "runtime/runtime.h"

enum { GATHER_BELOW = 2048 }; /* shorter pieces are gathered */

struct stage;

struct weir_body {
    struct stage *stage;
    int rc; /* sticky */
};

/* One editor with its output. */
struct stage {
    struct editing *chain;
    struct stage *prev, *next;
    weir_body_editor *editor;
    struct weir_body in, out;
    struct task task;
    bool started;
    char *gathered;
    size_t used;

    /* What the next stage may take. */
    struct event filled, emptied;
    weir_str piece;
    bool full, taken;
    bool waits;   /* this stage is about to wait for input */
    bool ended;   /* nothing comes any more */
    bool unwanted; /* nobody reads any more */
};

/* The editors of one direction. */
struct editing {
    struct weir_session *s;
    const struct editor_ends *ends;
    struct stage *first, *last;
    struct stage *lasting; /* the last one that stays for another try; NULL: none */
    unsigned count;
    bool read_all;
    int err; /* the first error of reading, writing or an editor */
};

static int chain_fail(struct editing *chain, int rc)
{
    if (rc < 0 && chain->err == 0)
        chain->err = rc;
    return rc;
}

/* ---- the registered ones --------------------------------------------------------------------- */

static struct editing *chain_of(struct weir_session *s, struct editing **at)
{
    if (*at == NULL) {
        *at = weir_alloc(s, sizeof **at);
        if (*at != NULL)
            **at = (struct editing){ .s = s };
    }
    return *at;
}

void weir_edit_body(struct weir_session *s, weir_body_editor *editor)
{
    bool response = s->answered != 0;
    struct editing *chain = chain_of(s, response ? &s->edit_down : &s->edit_up);
    struct stage *stage;
    const char *wrong = NULL;

    if (chain == NULL)
        return;
    if (editor == NULL)
        wrong = "weir_edit_body needs an editor";
    else if (s->body_begun[response ? WEIR_RESPONSE_BODY : WEIR_REQUEST_BODY])
        wrong = "weir_edit_body comes too late: the body is on its way";
    else if (chain->count == EDITORS_MAX)
        wrong = "more than 4 editors of one body";
    if (wrong != NULL) {
        session_fail(s, WEIR_EINVALID, wrong);
        return;
    }
    stage = weir_alloc(s, sizeof *stage);
    if (stage == NULL)
        return;
    *stage = (struct stage){ .chain = chain, .prev = chain->last, .editor = editor };
    if (chain->last != NULL)
        chain->last->next = stage;
    else
        chain->first = stage;
    chain->last = stage;
    chain->count++;
}

void editors_next_try(struct weir_session *s)
{
    struct editing *up = s->edit_up;

    s->edit_down = NULL;
    if (up == NULL)
        return;
    if (s->tries == 0)
        up->lasting = up->last;
    if (up->lasting == NULL) {
        s->edit_up = NULL;
        return;
    }
    up->last = up->lasting;
    up->last->next = NULL;
    up->count = 0;
    for (struct stage *st = up->first; st != NULL; st = st->next)
        up->count++;
    up->read_all = false;
    up->err = 0;
}

bool editors_read_all(const struct editing *chain)
{
    return chain->read_all;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The piece is its writer's, who leaves: nobody takes it any more. Whoever has it already comes
 * back for the next one, or ends, by the same limit or cancelling. */
static int take_back(struct stage *st, int rc)
{
    co_mask();
    while (st->full && st->taken && !st->unwanted)
        event_wait(&st->emptied, NEVER);
    co_unmask();
    st->full = false;
    return rc;
}

/* Hands a piece to the next stage and waits until it was used. */
static int hand_over(struct stage *st, weir_str piece)
{
    int rc;

    st->piece = piece;
    st->full = true;
    st->waits = false;
    event_set(&st->filled);
    while (st->full && !st->unwanted) {
        rc = event_wait(&st->emptied, st->chain->s->limit);
        if (rc < 0)
            return take_back(st, rc);
    }
    return st->unwanted ? WEIR_ECANCELED : 0;
}

static int put(struct stage *st, weir_str piece, bool end)
{
    struct weir_body *out = &st->out;

    if (out->rc == 0 && st->next != NULL && piece.len > 0)
        out->rc = hand_over(st, piece);
    else if (out->rc == 0 && st->next == NULL)
        out->rc = chain_fail(st->chain, st->chain->ends->give(st->chain->s, piece, end));
    return out->rc;
}

static int put_gathered(struct stage *st, bool end)
{
    weir_str piece = { st->gathered, st->used };

    if (st->used == 0 && !end)
        return st->out.rc;
    st->used = 0;
    return put(st, piece, end);
}

static int gather(struct stage *st, weir_str piece)
{
    if (st->gathered == NULL)
        st->gathered = buf_get();
    if (st->gathered == NULL)
        return st->out.rc = chain_fail(st->chain, WEIR_ENOMEM);
    if (piece.len > BUF_SIZE - st->used)
        TRY(put_gathered(st, false));
    memcpy(st->gathered + st->used, piece.ptr, piece.len);
    st->used += piece.len;
    return 0;
}

int weir_body_write(struct weir_body *out, weir_str chunk)
{
    struct stage *st = out->stage;

    if (out->rc < 0 || chunk.ptr == NULL || chunk.len == 0) /* absent, whatever its length */
        return out->rc;
    if (chunk.len < GATHER_BELOW)
        return gather(st, chunk);
    TRY(put_gathered(st, false));
    return put(st, chunk, false);
}

int weir_flush(struct weir_body *out)
{
    return put_gathered(out->stage, false);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* From where the body comes. */
static int take(struct stage *st, weir_str *chunk, bool wait)
{
    struct editing *chain = st->chain;
    int rc;

    if (chain->read_all)
        return 0;
    rc = chain->ends->take(chain->s, chunk, wait);
    if (rc == 0)
        chain->read_all = true;
    return chain_fail(chain, rc);
}

/* From the stage before. */
static int take_over(struct stage *prev, weir_str *chunk, bool wait)
{
    if (prev->taken) {
        prev->taken = prev->full = false;
        event_set(&prev->emptied);
    }
    while (!prev->full && !prev->ended) {
        if (prev->waits && !wait) {
            prev->waits = false;
            return BODY_LATER;
        }
        TRY(event_wait(&prev->filled, prev->chain->s->limit));
    }
    if (!prev->full)
        return prev->chain->err;
    *chunk = prev->piece;
    prev->taken = true; /* and not empty before the reader comes back */
    return 1;
}

static int get(struct weir_body *in, weir_str *chunk, bool wait)
{
    struct stage *st = in->stage;
    int rc = in->rc;

    *chunk = (weir_str){ NULL, 0 };
    if (rc == 0)
        rc = st->prev != NULL ? take_over(st->prev, chunk, wait) : take(st, chunk, wait);
    if (rc < 0)
        in->rc = rc;
    return rc;
}

int body_read_now(struct weir_body *in, weir_str *chunk)
{
    return get(in, chunk, false);
}

int weir_read(struct weir_body *in, weir_str *chunk)
{
    struct stage *st = in->stage;
    int rc = get(in, chunk, false);

    if (rc != BODY_LATER)
        return rc;
    put_gathered(st, false); /* nothing that is ready waits for what may never come */
    if (st->next != NULL) {
        st->waits = true;
        event_set(&st->filled);
    }
    rc = get(in, chunk, true);
    st->waits = false;
    return rc;
}

/* ---- the chain ------------------------------------------------------------------------------- */

/* One editor, to the end of its output. */
static int run(struct stage *st)
{
    struct editing *chain = st->chain;
    int rc;

    co_label(chain->s->service->proxy->name, "a body editor");
    rc = phase_result(chain->s, st->editor(chain->s, &st->in, &st->out));
    if (rc == 0 && st->in.rc < 0)
        rc = st->in.rc;
    if (rc == 0)
        rc = chain->err;
    if (rc == 0)
        rc = put_gathered(st, st->next == NULL);
    buf_put(&st->gathered);
    if (st->prev != NULL) {
        st->prev->unwanted = true;
        event_set(&st->prev->emptied);
    }
    return rc;
}

/* An editor before the last one. What it fails with reaches the others through the chain. */
static int run_beside(void *arg)
{
    struct stage *st = arg;
    int rc = run(st);

    if (!st->unwanted)
        chain_fail(st->chain, rc > 0 ? WEIR_ECANCELED : rc);
    st->ended = true;
    event_set(&st->filled);
    return 0;
}

static void stage_init(struct stage *st)
{
    *st = (struct stage){
        .chain = st->chain,
        .prev = st->prev,
        .next = st->next,
        .editor = st->editor,
        .in = { .stage = st },
        .out = { .stage = st },
    };
    event_init(&st->filled);
    event_init(&st->emptied);
}

int editors_run(struct weir_session *s, struct editing *chain, const struct editor_ends *ends)
{
    struct stage *last = chain->last, *st;
    int rc = 0;

    chain->ends = ends;
    for (st = chain->first; st != NULL; st = st->next)
        stage_init(st);
    for (st = chain->first; st != last && rc == 0; st = st->next)
        st->started = (rc = task_start(&s->scope, &st->task, run_beside, st)) == 0;
    if (rc == 0)
        rc = run(last);
    if (rc == WEIR_ECANCELED && chain->err != 0)
        rc = chain->err;
    for (st = chain->first; st->started; st = st->next) { /* the last one never is */
        task_cancel(&st->task);
        task_join(&st->task);
    }
    return rc < 0 && s->answered_here ? WEIR_ANSWERED : rc;
}
