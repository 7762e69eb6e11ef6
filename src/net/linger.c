/* linger.c -- lingering connections: an idle slot each, and some bytes to count. */
#include "net/linger.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/runtime.h"
#include "runtime/sys.h"

struct linger_end {
    int64_t until; /* fixed at the start: a peer that trickles gains nothing */
    uint32_t left; /* bytes */
};

static atomic_uint stopping; /* 0 or 1 */

static void end(struct slot *slot, struct linger_end *l)
{
    free(l);
    slot_close(&slot);
}

/* Throws away what has arrived. false: that was all there will be, or all we want to see. */
static bool discard(struct slot *slot, struct linger_end *l)
{
    char bytes[4096];

    for (;;) {
        uint64_t word = slot_load(slot, DIR_IN);
        ssize_t n;

        if (slot_flags(word) == 0)
            return true;
        n = sys_recv(slot_fd(slot), bytes, sizeof bytes, 0);
        if (n == -EAGAIN) {
            slot_drained(slot, DIR_IN, word, true);
            continue;
        }
        if (n <= 0 || (size_t)n > l->left)
            return false;
        l->left -= (uint32_t)n;
    }
}

/* Goes on lingering with a slot that is ours.
 *
 * One that arms itself while linger_stop walks the slots may be missed by the walk: so it looks
 * at `stopping` after arming, and linger_stop walks after setting it. Both are
 * read-modify-writes, hence in one order: the later one sees what the earlier one did. */
static void settle(struct slot *slot, struct linger_end *l)
{
    struct slot_ref ref = slot_name(slot);

    do {
        if (atomic_load(&stopping) != 0 || !discard(slot, l)) {
            end(slot, l);
            return;
        }
    } while (!slot_arm(slot, l->until));
    if (atomic_fetch_or(&stopping, 0) != 0 && slot_take(ref))
        end(slot, l);
}

static void on_ready(struct slot *slot, void *owner)
{
    settle(slot, owner);
}

static void on_expire(struct slot *slot, void *owner)
{
    end(slot, owner);
}

static const struct slot_class linger_class = {
    .name = "linger",
    .ready = on_ready,
    .expire = on_expire,
};

void linger_close(struct stream *st)
{
    struct linger_end *l = malloc(sizeof *l);

    if (st->filter != NULL)
        st->filter->close(st, false); /* what comes after that is not decoded any more */
    if (l == NULL || sys_shutdown(slot_fd(st->slot), SHUT_WR) < 0) {
        free(l);
        stream_close(st, false);
        return;
    }
    *l = (struct linger_end){ .until = rt_now() + LINGER_TIME, .left = LINGER_BYTES };
    slot_set_owner(st->slot, &linger_class, l);
    settle(st->slot, l);
    st->slot = NULL;
}

static void stop_one(struct slot *slot, void *owner, void *arg)
{
    (void)arg;
    end(slot, owner);
}

void linger_stop(void)
{
    atomic_exchange(&stopping, 1);
    slot_take_all(&linger_class, stop_one, NULL);
}

void linger_start(void)
{
    atomic_store(&stopping, 0);
}
