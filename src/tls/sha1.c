/* sha1.c -- the one hash of a protocol that is not about secrets (RFC 6455 4.2.2). */
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "runtime/runtime.h"
#include "tls/tls.h"

struct hashing {
    weir_str text;
    unsigned char *out;
    bool ok;
};

static void hash(void *arg)
{
    struct hashing *h = arg;

    h->ok = EVP_Digest(h->text.ptr, h->text.len, h->out, NULL, EVP_sha1(), NULL) == 1;
}

int tls_sha1(weir_str text, unsigned char out[TLS_SHA1])
{
    struct hashing h = { .text = text, .out = out };

    rt_on_worker_stack(hash, &h);
    return h.ok ? 0 : WEIR_EINTERNAL;
}

struct drawing {
    void *out;
    size_t len;
    bool ok;
};

static void draw(void *arg)
{
    struct drawing *d = arg;

    d->ok = RAND_bytes(d->out, (int)d->len) == 1;
}

int tls_random(void *out, size_t len)
{
    struct drawing d = { .out = out, .len = len };

    rt_on_worker_stack(draw, &d);
    return d.ok ? 0 : WEIR_EINTERNAL;
}
