/* page.c -- what a service has to say in place of our words when a request fails. */
#include "proxy/session.h"

const struct error_page *page_find(const struct service *svc, int status)
{
    const struct error_page *of_class = NULL;

    for (unsigned i = 0; i < WEIR_ERROR_PAGES && svc->pages[i].status != 0; i++) {
        const struct error_page *page = &svc->pages[i];

        if (page->status == status)
            return page;
        if (page->status == status / 100 && of_class == NULL)
            of_class = page;
    }
    return of_class;
}
