/* info.h -- what the kernel knows of a connection. */
#ifndef NET_INFO_H
#define NET_INFO_H

#include "net/addr.h"

struct net_info {
    struct addr local, remote; /* ADDR_NONE: the kernel does not tell */
    weir_dur rtt, rtt_deviation;
    uint64_t sent, received; /* bytes: acknowledged, come */
    uint32_t retransmits, window;
};

/* Of a connected socket. What is not known, or not TCP's, is 0. Never blocks. */
void net_info(int fd, struct net_info *out);

#endif
