/* addr.c -- addresses: from what the user wrote, to and from the kernel's form, and as text. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/digits.h"

const char addr_no_port[] = "no port";

static const char scheme[] = "unix:";

enum { SCHEME_LEN = sizeof scheme - 1, HOST_MAX = 253, LABEL_MAX = 63, NUMBER_BAD = UINT32_MAX };

static_assert(SCHEME_LEN + sizeof(((struct sockaddr_un *)0)->sun_path) <= ADDR_TEXT,
              "every Unix address can be printed");

/* A decimal number of up to `max`, without sign or blanks; NUMBER_BAD for anything else. */
static uint32_t parse_number(weir_str text, uint32_t max)
{
    uint32_t n = 0;

    if (text.len == 0 || text.len > 5)
        return NUMBER_BAD;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return NUMBER_BAD;
        n = n * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    return n <= max ? n : NUMBER_BAD;
}

/* inet_pton wants a NUL behind its text. */
static bool parse_ip(int family, weir_str text, uint8_t ip[16])
{
    char copy[INET6_ADDRSTRLEN];

    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, ip) == 1;
}

/* `::1` or `fe80::1%eth0`, `fe80::1%3`. */
static const char *parse_v6(weir_str text, struct addr *out)
{
    const char *percent = memchr(text.ptr, '%', text.len);
    weir_str ip = { text.ptr, percent != NULL ? (size_t)(percent - text.ptr) : text.len };

    if (!parse_ip(AF_INET6, ip, out->ip))
        return "malformed IPv6 address";
    out->kind = ADDR_V6;
    if (percent == NULL)
        return NULL;

    weir_str zone = { percent + 1, text.len - ip.len - 1 };
    char name[IF_NAMESIZE];

    out->scope = parse_number(zone, 65535);
    if (out->scope == NUMBER_BAD) {
        if (zone.len == 0 || zone.len >= sizeof name)
            return "malformed IPv6 zone";
        memcpy(name, zone.ptr, zone.len);
        name[zone.len] = '\0';
        out->scope = if_nametoindex(name);
    }
    return out->scope == 0 ? "no interface has the name of the IPv6 zone" : NULL;
}

static const char *parse_unix(const char *path, struct addr *out)
{
    if (path[0] != '/')
        return "the path of a Unix socket begins with a slash";
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return "the path of a Unix socket has at most 107 bytes";
    out->kind = ADDR_UNIX;
    out->path = path;
    return NULL;
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* A host name (RFC 1123 2.1, and underscores, which containers love). A last label of digits
 * only would be a mistyped IPv4 address. */
static const char *check_name(weir_str name)
{
    size_t label = 0, digits = 0;

    if (name.len > HOST_MAX)
        return "the host name is too long";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (c == '.') {
            if (label == 0)
                return "the host name has an empty label";
            if (i + 1 < name.len)
                label = digits = 0;
            continue;
        }
        if (!is_label_char(c))
            return "a character that no host name has";
        if (++label > LABEL_MAX)
            return "a label of the host name is too long";
        digits += c >= '0' && c <= '9';
    }
    return label == digits ? "malformed IPv4 address" : NULL;
}

/* What stands before the last colon: nothing, `1.2.3.4`, or a name. */
static const char *parse_host(weir_str host, struct addr_spec *out)
{
    if (host.len == 0) {
        out->form = SPEC_ALL;
        return NULL;
    }
    if (memchr(host.ptr, ':', host.len) != NULL)
        return "an IPv6 address stands in brackets: [::1]:80";
    if (parse_ip(AF_INET, host, out->addr.ip)) {
        out->addr.kind = ADDR_V4;
        return NULL;
    }
    out->form = SPEC_HOST;
    out->host = host;
    return check_name(host);
}

static const char *parse_port(const char *text, struct addr *out)
{
    uint32_t number = parse_number(weir_str_from(text), 65535);

    if (text[0] == '\0')
        return addr_no_port;
    if (number == NUMBER_BAD)
        return "the port is no number from 0 to 65535";
    out->port = (uint16_t)number;
    return NULL;
}

/* `[::1]:80` */
static const char *parse_bracketed(const char *text, struct addr *out)
{
    const char *end = strchr(text, ']');
    const char *wrong;

    if (end == NULL)
        return "no ] behind the IPv6 address";
    wrong = parse_v6((weir_str){ text + 1, (size_t)(end - text - 1) }, out);
    if (wrong != NULL)
        return wrong;
    if (end[1] != ':')
        return end[1] == '\0' ? addr_no_port : "something other than a port behind ]";
    return parse_port(end + 2, out);
}

const char *addr_parse(const char *text, struct addr_spec *out)
{
    *out = (struct addr_spec){ .form = SPEC_ADDR };
    if (text == NULL || text[0] == '\0')
        return "no address";
    if (strncmp(text, scheme, SCHEME_LEN) == 0)
        return parse_unix(text + SCHEME_LEN, &out->addr);
    if (strstr(text, "://") != NULL)
        return "a URL is no address: write HOST:PORT";
    if (text[0] == '[')
        return parse_bracketed(text, &out->addr);

    const char *colon = strrchr(text, ':');
    size_t host_len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    const char *wrong = parse_host((weir_str){ text, host_len }, out);

    if (wrong != NULL)
        return wrong;
    return colon != NULL ? parse_port(colon + 1, &out->addr) : addr_no_port;
}

static size_t ip_len(const struct addr *a)
{
    return a->kind == ADDR_V4 ? 4 : a->kind == ADDR_V6 ? 16 : 0;
}

bool addr_same_host(const struct addr *a, const struct addr *b)
{
    if (a->kind != b->kind || a->scope != b->scope)
        return false;
    if (a->kind == ADDR_UNIX)
        return strcmp(a->path, b->path) == 0;
    return memcmp(a->ip, b->ip, ip_len(a)) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_same_host(a, b);
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    switch (a->kind) {
    case ADDR_V4: {
        struct sockaddr_in *in = (struct sockaddr_in *)out;

        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof *in;
    }
    case ADDR_V6: {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        in6->sin6_scope_id = a->scope;
        memcpy(&in6->sin6_addr, a->ip, 16);
        return sizeof *in6;
    }
    case ADDR_UNIX: {
        struct sockaddr_un *un = (struct sockaddr_un *)out;
        size_t len = strlen(a->path);

        ensure(len < sizeof un->sun_path);
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, a->path, len);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    }
    default:
        return 0;
    }
}

void addr_from_sockaddr(struct addr *a, const struct sockaddr_storage *ss, socklen_t len)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    *a = (struct addr){ .kind = ADDR_NONE };
    if (len >= sizeof(struct sockaddr_in) && ss->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

        a->kind = ADDR_V4;
        a->port = ntohs(in->sin_port);
        memcpy(a->ip, &in->sin_addr, 4);
    } else if (len >= sizeof(struct sockaddr_in6) && ss->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
        const uint8_t *ip = in6->sin6_addr.s6_addr;
        bool is_v4 = memcmp(ip, mapped, sizeof mapped) == 0;

        a->kind = is_v4 ? ADDR_V4 : ADDR_V6;
        a->port = ntohs(in6->sin6_port);
        a->scope = is_v4 ? 0 : in6->sin6_scope_id;
        memcpy(a->ip, is_v4 ? ip + 12 : ip, is_v4 ? 4 : 16);
    } else if (len >= sizeof(sa_family_t) && ss->ss_family == AF_UNIX) {
        a->kind = ADDR_UNIX;
        a->path = "";
    }
}

void addr_of_socket(int fd, struct addr *out)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        len = 0;
    addr_from_sockaddr(out, &ss, len);
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t v6[16] = { [15] = 1 };

    return a->kind == ADDR_V4 ? a->ip[0] == 127
                              : a->kind == ADDR_V6 && memcmp(a->ip, v6, sizeof v6) == 0;
}

static char *print_number(char *at, uint32_t n)
{
    char text[DIGITS_MAX], *end = text + sizeof text, *first = digits_before(end, n, 1);

    return (char *)memcpy(at, first, (size_t)(end - first)) + (end - first);
}

static char *print_byte(char *at, unsigned n)
{
    if (n >= 100) {
        *at++ = (char)('0' + n / 100);
        return digit_pair(at, n % 100) + 2;
    }
    if (n >= 10)
        return digit_pair(at, n) + 2;
    *at++ = (char)('0' + n);
    return at;
}

/* By hand for IPv4, as it stands in every log line: printf would cost more than the rest of
 * them. */
static char *print_ip(char *at, const struct addr *a)
{
    if (a->kind == ADDR_V4) {
        for (int i = 0; i < 4; i++) {
            if (i > 0)
                *at++ = '.';
            at = print_byte(at, a->ip[i]);
        }
        return at;
    }
    inet_ntop(AF_INET6, a->ip, at, INET6_ADDRSTRLEN);
    at += strlen(at);
    if (a->scope != 0) {
        *at++ = '%';
        at = print_number(at, a->scope);
    }
    return at;
}

static weir_str print_unix(const struct addr *a, char buf[ADDR_TEXT])
{
    size_t len = strlen(a->path);

    ensure(SCHEME_LEN + len < ADDR_TEXT);
    memcpy(buf, scheme, SCHEME_LEN);
    memcpy(buf + SCHEME_LEN, a->path, len + 1);
    return (weir_str){ buf, SCHEME_LEN + len };
}

static weir_str print(const struct addr *a, char buf[ADDR_TEXT], bool port)
{
    char *at = buf;

    if (a->kind == ADDR_UNIX)
        return print_unix(a, buf);
    if (a->kind == ADDR_NONE) {
        memcpy(buf, "none", 5);
        return (weir_str){ buf, 4 };
    }
    if (port && a->kind == ADDR_V6)
        *at++ = '[';
    at = print_ip(at, a);
    if (port) {
        if (a->kind == ADDR_V6)
            *at++ = ']';
        *at++ = ':';
        at = print_number(at, a->port);
    }
    *at = '\0';
    return (weir_str){ buf, (size_t)(at - buf) };
}

weir_str addr_print(const struct addr *a, char buf[ADDR_TEXT])
{
    return print(a, buf, true);
}

weir_str addr_host(const struct addr *a, char buf[ADDR_TEXT])
{
    return print(a, buf, false);
}

static weir_str print_in(struct arena *arena, const struct addr *a, bool port)
{
    char *buf = arena_text(arena, ADDR_TEXT);
    weir_str text;

    if (buf == NULL)
        return (weir_str){ NULL, 0 };
    text = print(a, buf, port);
    arena_shrink(arena, buf, text.len);
    return text;
}

weir_str addr_print_in(struct arena *arena, const struct addr *a)
{
    return print_in(arena, a, true);
}

weir_str addr_host_in(struct arena *arena, const struct addr *a)
{
    return print_in(arena, a, false);
}

/* Are the first `bits` bits equal? */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;

    if (memcmp(a, b, bytes) != 0)
        return false;
    return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

const char *addr_net_parse(const char *text, struct addr_net *out)
{
    const char *slash = strchr(text, '/');
    weir_str ip = { text, slash != NULL ? (size_t)(slash - text) : strlen(text) };

    *out = (struct addr_net){ .base = { .kind = ADDR_NONE } };
    if (parse_ip(AF_INET, ip, out->base.ip))
        out->base.kind = ADDR_V4;
    else if (parse_ip(AF_INET6, ip, out->base.ip))
        out->base.kind = ADDR_V6;
    else
        return "neither an IPv4 nor an IPv6 address or network";

    uint32_t all = (uint32_t)ip_len(&out->base) * 8;
    uint32_t bits = slash != NULL ? parse_number(weir_str_from(slash + 1), all) : all;

    if (bits == NUMBER_BAD)
        return "the prefix length is no number of bits of such an address";
    out->bits = (uint8_t)bits;

    /* 10.1.2.3/8 is a slip: another network was meant, or another length. */
    for (unsigned i = bits; i < all; i++)
        if (out->base.ip[i / 8] & (0x80 >> i % 8))
            return "bits behind the prefix length are set";
    return NULL;
}

bool addr_net_has(const struct addr_net *net, const struct addr *a)
{
    return net->base.kind == a->kind && a->kind != ADDR_UNIX &&
           same_bits(net->base.ip, a->ip, net->bits);
}
