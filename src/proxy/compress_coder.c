/* compress_coder.c -- three libraries, one loop: input that is consumed, output that has a
 * bound. */
#include "proxy/compress_coder.h"

#include <stdlib.h>

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include "runtime/runtime.h"

/* RFC 8878 3.1.1.1.2, RFC 9659: what a receiver of zstd in HTTP has to be ready for. */
enum { ZSTD_WINDOW_LOG = 23, BROTLI_WINDOW = 18 };

struct coder {
    enum weir_coding coding;
    bool unpack;
    bool ended;   /* the packed body is complete */
    bool started; /* a byte of it has come */
    bool more;    /* output waits inside */
    z_stream z;
    BrotliEncoderState *br_pack;
    BrotliDecoderState *br_unpack;
    ZSTD_CCtx *zstd_pack;
    ZSTD_DCtx *zstd_unpack;
};

/* ---- gzip (RFC 1952) ------------------------------------------------------------------------- */

static bool gzip_new(struct coder *c, unsigned level)
{
    enum { GZIP = 16, MEMORY = 8 };

    if (c->unpack)
        return inflateInit2(&c->z, MAX_WBITS | GZIP) == Z_OK;
    return deflateInit2(&c->z, (int)level, Z_DEFLATED, MAX_WBITS | GZIP, MEMORY,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

static void gzip_free(struct coder *c)
{
    if (c->unpack)
        inflateEnd(&c->z);
    else
        deflateEnd(&c->z);
}

static int gzip_pack(struct coder *c, enum coder_how how)
{
    static const int flush[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };

    if (deflate(&c->z, flush[how]) == Z_STREAM_ERROR)
        return WEIR_EINTERNAL;
    return c->z.avail_out == 0;
}

/* A gzip body may have several members, one behind the other. */
static int gzip_unpack(struct coder *c)
{
    bool inside = c->more;
    int rc = Z_OK;

    while ((c->z.avail_in > 0 || inside) && c->z.avail_out > 0) {
        inside = false;
        if (c->ended && inflateReset(&c->z) != Z_OK)
            return WEIR_EUPBODY;
        c->ended = false;
        rc = inflate(&c->z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return rc == Z_MEM_ERROR ? WEIR_ENOMEM : WEIR_EUPBODY;
        c->ended = rc == Z_STREAM_END;
        if (rc == Z_BUF_ERROR)
            break;
    }
    if (c->z.avail_out > 0 || c->ended)
        return 0;
    return 1;
}

static int gzip_run(struct coder *c, weir_str *in, enum coder_how how, char *out, size_t *room)
{
    size_t take = MIN(in->len, (size_t)UINT32_MAX / 2);
    int rc;

    c->z.next_in = (Bytef *)in->ptr;
    c->z.avail_in = (uInt)take;
    c->z.next_out = (Bytef *)out;
    c->z.avail_out = (uInt)*room;
    rc = c->unpack ? gzip_unpack(c) : gzip_pack(c, how);
    take -= c->z.avail_in;
    *in = (weir_str){ in->ptr + take, in->len - take };
    *room -= c->z.avail_out;
    return rc;
}

/* ---- br (RFC 7932) --------------------------------------------------------------------------- */

static bool br_new(struct coder *c, unsigned level)
{
    if (c->unpack) {
        c->br_unpack = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        return c->br_unpack != NULL;
    }
    c->br_pack = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    return c->br_pack != NULL &&
           BrotliEncoderSetParameter(c->br_pack, BROTLI_PARAM_QUALITY, level) &&
           BrotliEncoderSetParameter(c->br_pack, BROTLI_PARAM_LGWIN, BROTLI_WINDOW);
}

static void br_free(struct coder *c)
{
    if (c->br_unpack != NULL)
        BrotliDecoderDestroyInstance(c->br_unpack);
    if (c->br_pack != NULL)
        BrotliEncoderDestroyInstance(c->br_pack);
}

static int br_run(struct coder *c, weir_str *in, enum coder_how how, char *out, size_t *room)
{
    static const BrotliEncoderOperation operations[] = {
        BROTLI_OPERATION_PROCESS,
        BROTLI_OPERATION_FLUSH,
        BROTLI_OPERATION_FINISH,
    };
    const uint8_t *next_in = (const uint8_t *)in->ptr;
    uint8_t *next_out = (uint8_t *)out;
    size_t avail_in = in->len, avail_out = *room;
    int rc;

    if (c->unpack) {
        BrotliDecoderResult r = BrotliDecoderDecompressStream(c->br_unpack, &avail_in, &next_in,
                                                              &avail_out, &next_out, NULL);

        c->ended = r == BROTLI_DECODER_RESULT_SUCCESS;
        rc = r == BROTLI_DECODER_RESULT_ERROR || (c->ended && avail_in > 0)
                 ? WEIR_EUPBODY
                 : r == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    } else if (!BrotliEncoderCompressStream(c->br_pack, operations[how], &avail_in, &next_in,
                                            &avail_out, &next_out, NULL)) {
        rc = WEIR_EINTERNAL;
    } else {
        rc = avail_in > 0 || BrotliEncoderHasMoreOutput(c->br_pack);
    }
    *in = (weir_str){ (const char *)next_in, avail_in };
    *room -= avail_out;
    return rc;
}

/* ---- zstd (RFC 8878) ------------------------------------------------------------------------- */

static bool zstd_new(struct coder *c, unsigned level)
{
    if (c->unpack) {
        c->zstd_unpack = ZSTD_createDCtx();
        return c->zstd_unpack != NULL &&
               !ZSTD_isError(ZSTD_DCtx_setParameter(c->zstd_unpack, ZSTD_d_windowLogMax,
                                                    ZSTD_WINDOW_LOG));
    }
    c->zstd_pack = ZSTD_createCCtx();
    return c->zstd_pack != NULL &&
           !ZSTD_isError(
               ZSTD_CCtx_setParameter(c->zstd_pack, ZSTD_c_compressionLevel, (int)level));
}

static void zstd_free(struct coder *c)
{
    ZSTD_freeCCtx(c->zstd_pack);
    ZSTD_freeDCtx(c->zstd_unpack);
}

static int zstd_run(struct coder *c, weir_str *in, enum coder_how how, char *out, size_t *room)
{
    static const ZSTD_EndDirective directives[] = { ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end };
    ZSTD_inBuffer from = { in->ptr, in->len, 0 };
    ZSTD_outBuffer to = { out, *room, 0 };
    size_t left = 0;

    if (c->unpack && in->len == 0 && !c->more) {
        left = !c->ended;
    } else if (c->unpack) {
        do {
            left = ZSTD_decompressStream(c->zstd_unpack, &to, &from);
        } while (!ZSTD_isError(left) && from.pos < from.size && to.pos < to.size);
        c->ended = left == 0;
    } else {
        left = ZSTD_compressStream2(c->zstd_pack, &to, &from, directives[how]);
    }
    *in = (weir_str){ in->ptr + from.pos, in->len - from.pos };
    *room = to.pos;
    if (ZSTD_isError(left))
        return c->unpack ? WEIR_EUPBODY : WEIR_EINTERNAL;
    if (c->unpack)
        return to.pos == to.size && !c->ended;
    return how == CODER_GO ? from.pos < from.size : left > 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct {
    bool (*make)(struct coder *c, unsigned level);
    void (*free)(struct coder *c);
    int (*run)(struct coder *c, weir_str *in, enum coder_how how, char *out, size_t *room);
} codings[] = {
    [WEIR_GZIP] = { gzip_new, gzip_free, gzip_run },
    [WEIR_BR] = { br_new, br_free, br_run },
    [WEIR_ZSTD] = { zstd_new, zstd_free, zstd_run },
};

struct call {
    struct coder *coder;
    weir_str *in;
    enum coder_how how;
    char *out;
    size_t *room;
    unsigned level;
    int rc;
};

static void make(void *arg)
{
    struct call *k = arg;

    k->rc = codings[k->coder->coding].make(k->coder, k->level) ? 0 : WEIR_ENOMEM;
}

struct coder *coder_new(enum weir_coding coding, bool unpack, unsigned level)
{
    struct coder *c = coding != WEIR_CODING_NONE ? calloc(1, sizeof *c) : NULL;
    struct call k = { .coder = c, .level = level };

    if (c == NULL)
        return NULL;
    c->coding = coding;
    c->unpack = unpack;
    rt_on_worker_stack(make, &k);
    if (k.rc < 0)
        coder_free(&c);
    return c;
}

void coder_free(struct coder **coder)
{
    if (*coder == NULL)
        return;
    codings[(*coder)->coding].free(*coder);
    free(*coder);
    *coder = NULL;
}

static void run(void *arg)
{
    struct call *k = arg;

    k->rc = codings[k->coder->coding].run(k->coder, k->in, k->how, k->out, k->room);
}

int coder_run(struct coder *c, weir_str *in, enum coder_how how, char *out, size_t *room)
{
    struct call k = { .coder = c, .in = in, .how = how, .out = out, .room = room };

    c->started |= in->len > 0;
    rt_on_worker_stack(run, &k);
    c->more = k.rc == 1;
    if (k.rc == 0 && c->unpack && how == CODER_END && c->started && !c->ended)
        return WEIR_EUPBODY;
    return k.rc;
}
