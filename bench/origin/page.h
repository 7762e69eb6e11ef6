/* page.h -- what the origin answers, printed once per size and kept. */
#ifndef BENCH_PAGE_H
#define BENCH_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A response of one size. `front` holds the head and as much of the body as fits beside it; what
 * is left of the body repeats page_filler. Pages live until the program ends. */
struct page {
    uint64_t body;
    char *front;
    size_t front_len, head_len;
    uint64_t left; /* body bytes that are not in `front` */
};

enum { PAGE_FILLER = 256 << 10 };
extern char page_filler[PAGE_FILLER];

/* `fields` more response fields on each page. To be called once, first. */
void page_setup(unsigned fields);

/* The size that a path "/b/N" asks for, or the default, which page_default() sets. */
uint64_t page_wanted(const char *path, size_t len);
void page_default(uint64_t body);

/* The page with a body of that many bytes. */
const struct page *page_get(uint64_t body);

/* An answer of ours to a request we do not like: 400, with the reason; the connection ends. */
const struct page *page_refusal(void);

#endif
