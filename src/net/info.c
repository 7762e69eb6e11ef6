#include "net/info.h"

#include <linux/tcp.h> /* the C library's struct tcp_info ends before the bytes */
#include <netinet/in.h>
#include <sys/socket.h>

void net_info(int fd, struct net_info *out)
{
    struct tcp_info tcp = { .tcpi_state = 0 };
    socklen_t len = sizeof tcp;
    struct sockaddr_storage ss;
    socklen_t size = sizeof ss;

    *out = (struct net_info){ .rtt = 0 };
    addr_of_socket(fd, &out->local);
    if (getpeername(fd, (struct sockaddr *)&ss, &size) == 0)
        addr_from_sockaddr(&out->remote, &ss, size);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) != 0)
        return;
    out->rtt = (weir_dur)tcp.tcpi_rtt * (WEIR_MS / 1000);
    out->rtt_deviation = (weir_dur)tcp.tcpi_rttvar * (WEIR_MS / 1000);
    out->sent = tcp.tcpi_bytes_acked;
    out->received = tcp.tcpi_bytes_received;
    out->retransmits = tcp.tcpi_total_retrans;
    out->window = tcp.tcpi_snd_cwnd;
}
