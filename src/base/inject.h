/* inject.h -- failures that are rare, made often: in a build with -Dfault=true, and there only if
 * the environment says WEIR_FAULT="SEED RATE [start]", one call in RATE fails that goes through
 * src/runtime/sys.h or asks for memory. The seed is printed. From the start with `start`, else from
 * the moment in which the server serves. In other builds nothing of this is left. */
#ifndef BASE_INJECT_H
#define BASE_INJECT_H
#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef WEIR_FAULT

/* Reads WEIR_FAULT and says so on standard error; notes how many descriptors are open. */
void inject_start(void);

/* The server serves: what is not asked for from the start begins. */
void inject_serving(void);

/* Says what was done, in `turns` of the workers' loops, and how many descriptors are open that were
 * not at the start. To be called when nothing runs any more; nothing fails from then on. */
void inject_report(uint64_t turns);

/* May anything fail, now or later? Then what relies on the kernel's word must not
 * (slot_drained). */
bool inject_on(void);

/* 0: this call goes well. Else it fails, and the number is for choosing how. */
uint32_t inject_roll(void);

void *inject_malloc(size_t size);
void *inject_calloc(size_t count, size_t size);
void *inject_realloc(void *old, size_t size);
void *inject_aligned_alloc(size_t align, size_t size);
char *inject_strdup(const char *text);
void *inject_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);

#undef strdup
#undef mmap
#define malloc(size)                            inject_malloc(size)
#define calloc(count, size)                     inject_calloc(count, size)
#define realloc(old, size)                      inject_realloc(old, size)
#define aligned_alloc(align, size)              inject_aligned_alloc(align, size)
#define strdup(text)                            inject_strdup(text)
#define mmap(at, size, prot, flags, fd, offset) inject_mmap(at, size, prot, flags, fd, offset)

#else

static inline void inject_start(void)
{
}

static inline void inject_serving(void)
{
}

static inline void inject_report(uint64_t turns)
{
    (void)turns;
}

static inline bool inject_on(void)
{
    return false;
}

static inline uint32_t inject_roll(void)
{
    return 0;
}

#endif
#endif
#endif
