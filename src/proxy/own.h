/* own.h -- sessions without a client (<weir/fetch.h>): what the layers around them must know. */
#ifndef PROXY_OWN_H
#define PROXY_OWN_H

#include "proxy/service.h"

/* By which deadlines and limits fetches go that are made for no request. `svc` outlives the
 * workers; before they run. */
void own_start(const struct service *svc);

#endif
