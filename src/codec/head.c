/* head.c -- the fields of a head: finding, adding, changing, removing.
 *
 * Fields are an array in the order of the message. A known name is asked for by its bit in
 * `present` first; only what is there is searched for. A change that fails leaves the head as it
 * was. */
#include "codec/head.h"

#include "codec/chars.h"

static void mark_failed(struct weir_head *h, int err)
{
    if (h->failed == 0)
        h->failed = err; /* the first cause is the one reported */
}

/* Makes the array `cap` fields long. */
static bool grow(struct weir_head *h, uint32_t cap)
{
    struct field *fields = arena_alloc(h->arena, cap * sizeof(*fields));

    if (fields == NULL)
        return false;
    if (h->count > 0)
        memcpy(fields, h->fields, h->count * sizeof(*fields));
    h->fields = fields;
    h->cap = cap;
    return true;
}

static_assert(sizeof(struct weir_head) == 16 * 8, "head_init knows all members");

void head_init(struct weir_head *h, struct arena *arena, unsigned cap)
{
    const weir_str absent = { NULL, 0 };

    /* One by one: as a whole it would be cleared by a string instruction, which takes longer to
     * start than all of these. */
    h->arena = arena;
    h->fields = NULL;
    h->count = h->cap = 0;
    h->present = 0;
    h->status = 0;
    h->minor = 1;
    h->method_id = METHOD_OTHER;
    h->failed = 0;
    h->method = h->target = h->authority = h->reason = h->path = absent;
    h->path_of = NULL;
    if (cap > 0)
        head_reserve(h, cap);
}

bool head_reserve(struct weir_head *h, uint32_t more)
{
    if (more <= h->cap - h->count)
        return true;
    if (grow(h, h->count + more))
        return true;
    mark_failed(h, WEIR_ENOMEM);
    return false;
}

static bool is_called(const struct field *f, enum field_id id, weir_str name)
{
    if (id != FIELD_OTHER)
        return f->id == id;
    return f->id == FIELD_OTHER && weir_str_eq_nocase((weir_str){ f->name, f->name_len }, name);
}

/* The first field called `name` at or behind position `i`, or NULL. */
static struct field *find(const struct weir_head *h, enum field_id id, weir_str name, uint32_t i)
{
    if (id != FIELD_OTHER && !head_has_id(h, id))
        return NULL;
    for (; i < h->count; i++) {
        struct field *f = &h->fields[i];

        if (f->id == id && (id != FIELD_OTHER || is_called(f, id, name)))
            return f;
    }
    return NULL;
}

static weir_str value_of(const struct field *f)
{
    return f != NULL ? (weir_str){ f->value, f->value_len } : (weir_str){ NULL, 0 };
}

/* Removes all fields called `name` at or behind position `i`. */
static void remove_from(struct weir_head *h, enum field_id id, weir_str name, uint32_t i)
{
    uint32_t to = i;

    for (; i < h->count; i++) {
        if (!is_called(&h->fields[i], id, name))
            h->fields[to++] = h->fields[i];
    }
    h->count = to;
}

struct field *head_first_id(const struct weir_head *h, enum field_id id)
{
    if (!head_has_id(h, id))
        return NULL;
    for (uint32_t i = 0; i < h->count; i++)
        if (h->fields[i].id == id)
            return &h->fields[i];
    return NULL;
}

struct field *head_next_id(const struct weir_head *h, const struct field *f)
{
    return find(h, f->id, (weir_str){ f->name, f->name_len }, (uint32_t)(f + 1 - h->fields));
}

weir_str head_get_id(const struct weir_head *h, enum field_id id)
{
    return value_of(head_first_id(h, id));
}

unsigned head_count_id(const struct weir_head *h, enum field_id id)
{
    unsigned n = 0;

    if (!head_has_id(h, id))
        return 0;
    for (uint32_t i = 0; i < h->count; i++)
        n += h->fields[i].id == id;
    return n;
}

static SELDOM void grow_and_add(struct weir_head *h, weir_str name, weir_str value,
                                enum field_id id)
{
    if (grow(h, h->cap < 8 ? 16 : h->cap * 2))
        head_add_raw(h, name, value, id);
    else
        mark_failed(h, WEIR_ENOMEM);
}

void head_add_raw(struct weir_head *h, weir_str name, weir_str value, enum field_id id)
{
    ensure(name.len <= FIELD_NAME_MAX && value.len <= UINT32_MAX);
    if (unlikely(h->count == h->cap)) {
        grow_and_add(h, name, value, id);
        return;
    }
    h->fields[h->count++] = (struct field){
        .name = name.ptr,
        .name_len = (uint16_t)name.len,
        .value = value.ptr,
        .value_len = (uint32_t)value.len,
        .id = (uint8_t)id,
    };
    h->present |= (uint64_t)(id != FIELD_OTHER) << id;
}

void head_add_id(struct weir_head *h, enum field_id id, weir_str value)
{
    if (value.ptr != NULL)
        head_add_raw(h, field_name_of(id), value, id);
}

void head_add_line(struct weir_head *h, enum field_id id, weir_str line)
{
    size_t name = field_name_of(id).len;

    ensure(line.len >= name + 2);
    head_add_raw(h, (weir_str){ line.ptr, name },
                 (weir_str){ line.ptr + name + 2, line.len - name - 2 }, id);
}

/* What is there to be taken out or replaced stays out of the calls below, which mostly find that
 * nothing is. */
#define APART static __attribute__((noinline))

APART void remove_id(struct weir_head *h, enum field_id id)
{
    remove_from(h, id, (weir_str){ "", 0 }, 0);
    h->present &= ~(UINT64_C(1) << id);
}

void head_del_id(struct weir_head *h, enum field_id id)
{
    if (head_has_id(h, id))
        remove_id(h, id);
}

/* The first field called `name`, `f`, gets the value; the others go. */
APART void replace(struct weir_head *h, struct field *f, enum field_id id, weir_str name,
                    weir_str value)
{
    f->value = value.ptr;
    f->value_len = (uint32_t)value.len;
    remove_from(h, id, name, (uint32_t)(f + 1 - h->fields));
}

void head_set_id(struct weir_head *h, enum field_id id, weir_str value)
{
    if (value.ptr == NULL)
        head_del_id(h, id);
    else if (!head_has_id(h, id))
        head_add_raw(h, field_name_of(id), value, id);
    else
        replace(h, head_first_id(h, id), id, (weir_str){ NULL, 0 }, value);
}

/* What is absent has no bytes, whatever its length. */
static weir_str given(weir_str name)
{
    return (weir_str){ name.ptr, name.ptr != NULL ? name.len : 0 };
}

/* Checks and copies what a filter hands in. A known name needs no copy. */
static bool adopt(struct weir_head *h, weir_str *name, weir_str *value, enum field_id *id)
{
    *value = trim(*value);
    if (!is_token(given(*name)) || name->len > FIELD_NAME_MAX || value->len > UINT32_MAX ||
        !is_field_value(*value)) {
        mark_failed(h, WEIR_EFIELD);
        return false;
    }
    *id = field_id_of(*name);
    if (*id == FIELD_OTHER || !weir_str_eq(*name, field_name_of(*id)))
        *name = arena_copy(h->arena, *name);
    else
        *name = field_name_of(*id);
    *value = arena_copy(h->arena, *value);
    if (name->ptr == NULL || value->ptr == NULL) {
        mark_failed(h, WEIR_ENOMEM);
        return false;
    }
    return true;
}

int weir_status(const struct weir_head *h)
{
    return h != NULL ? h->status : 0;
}

weir_str weir_method(const struct weir_head *h)
{
    return h != NULL ? h->method : (weir_str){ NULL, 0 };
}

weir_str weir_target(const struct weir_head *h)
{
    return h != NULL ? h->target : (weir_str){ NULL, 0 };
}

weir_str weir_head_get(const struct weir_head *h, weir_str name)
{
    return value_of(h != NULL ? find(h, field_id_of(given(name)), given(name), 0) : NULL);
}

bool weir_head_has(const struct weir_head *h, weir_str name)
{
    return h != NULL && find(h, field_id_of(given(name)), given(name), 0) != NULL;
}

void weir_head_set(struct weir_head *h, weir_str name, weir_str value)
{
    struct field *f;
    enum field_id id;

    if (value.ptr == NULL) {
        weir_head_del(h, name);
        return;
    }
    if (h == NULL || !adopt(h, &name, &value, &id))
        return;
    f = find(h, id, name, 0);
    if (f != NULL)
        replace(h, f, id, name, value);
    else
        head_add_raw(h, name, value, id);
}

void weir_head_add(struct weir_head *h, weir_str name, weir_str value)
{
    enum field_id id;

    if (h != NULL && value.ptr != NULL && adopt(h, &name, &value, &id))
        head_add_raw(h, name, value, id);
}

void weir_head_del(struct weir_head *h, weir_str name)
{
    enum field_id id = field_id_of(given(name));

    if (h == NULL || name.ptr == NULL)
        return;
    if (id != FIELD_OTHER)
        head_del_id(h, id);
    else
        remove_from(h, id, name, 0);
}

bool weir_head_at(const struct weir_head *h, size_t i, weir_str *name, weir_str *value)
{
    if (h == NULL || i >= h->count)
        return false;
    if (name != NULL)
        *name = (weir_str){ h->fields[i].name, h->fields[i].name_len };
    if (value != NULL)
        *value = value_of(&h->fields[i]);
    return true;
}
