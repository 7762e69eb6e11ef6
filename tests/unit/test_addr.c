/* test_addr.c -- what users write as addresses, and what peers and networks look like. */
#include "cases.h"

#include <net/if.h>
#include <sys/un.h>

#include "net/addr.h"

/* The printed form tells all: kind, zone, address, port. */
static void accepted(void **state)
{
    static const struct {
        const char *text, *want, *host;
        int form;
    } cases[] = {
        { "127.0.0.1:80", "127.0.0.1:80", "127.0.0.1", SPEC_ADDR },
        { "255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255", SPEC_ADDR },
        { "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", SPEC_ADDR }, /* port 0: the kernel chooses */
        { "1.2.3.4:0080", "1.2.3.4:80", "1.2.3.4", SPEC_ADDR },
        { "[::1]:80", "[::1]:80", "::1", SPEC_ADDR },
        { "[::]:0", "[::]:0", "::", SPEC_ADDR },
        { "[2001:DB8:0:0::1]:443", "[2001:db8::1]:443", "2001:db8::1", SPEC_ADDR },
        { "[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", SPEC_ADDR },
        { "[fe80::1%7]:80", "[fe80::1%7]:80", "fe80::1%7", SPEC_ADDR },
        { "unix:/run/a.sock", "unix:/run/a.sock", "unix:/run/a.sock", SPEC_ADDR },
        { "unix:/a:80", "unix:/a:80", "unix:/a:80", SPEC_ADDR }, /* a colon like any other */
        { ":8080", NULL, NULL, SPEC_ALL },
        { "localhost:80", NULL, "localhost", SPEC_HOST },
        { "a_b-c.example.:1", NULL, "a_b-c.example.", SPEC_HOST },
        { "1.2.3.4.in-addr.arpa:1", NULL, "1.2.3.4.in-addr.arpa", SPEC_HOST },
    };
    char buf[ADDR_TEXT];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        weir_str text = weir_str_from(cases[i].text);
        struct addr_spec spec;
        const char *wrong = addr_parse(cases[i].text, &spec);

        if (wrong != NULL)
            fail_case(text, "refused: %s", wrong);
        if ((int)spec.form != cases[i].form)
            fail_case(text, "form %d", (int)spec.form);
        if (spec.form == SPEC_HOST)
            assert_str(spec.host, cases[i].host);
        if (spec.form != SPEC_ADDR)
            continue;
        assert_str(addr_print(&spec.addr, buf), cases[i].want);
        assert_int_equal(buf[strlen(cases[i].want)], '\0');
        assert_str(addr_host(&spec.addr, buf), cases[i].host);
    }
}

static void ports(void **state)
{
    struct addr_spec spec;

    (void)state;
    assert_null(addr_parse(":8080", &spec));
    assert_int_equal(spec.addr.port, 8080);
    assert_null(addr_parse("origin.example:443", &spec));
    assert_int_equal(spec.addr.port, 443);
}

static void refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { NULL, "no address" },
        { "", "no address" },
        { "127.0.0.1", "no port" },
        { "127.0.0.1:", "no port" },
        { "localhost", "no port" },
        { ":", "no port" },
        { "[::1]", "no port" },
        { "[::1]:", "no port" },
        { "127.0.0.1:65536", "the port is no number from 0 to 65535" },
        { "127.0.0.1:99999999999", "the port is no number from 0 to 65535" },
        { "127.0.0.1:+80", "the port is no number from 0 to 65535" },
        { "127.0.0.1: 80", "the port is no number from 0 to 65535" },
        { "127.0.0.1:80 ", "the port is no number from 0 to 65535" },
        { "127.0.0.1:http", "the port is no number from 0 to 65535" },
        { "127.0.0.1:-1", "the port is no number from 0 to 65535" },
        { "256.0.0.1:80", "malformed IPv4 address" },
        { "127.0.1:80", "malformed IPv4 address" },
        { "1.2.3.4.5:80", "malformed IPv4 address" },
        { "01.2.3.4:80", "malformed IPv4 address" }, /* octal to some */
        { "2130706433:80", "malformed IPv4 address" },
        { "0x7f.1:80", "malformed IPv4 address" },
        { "::1:80", "an IPv6 address stands in brackets: [::1]:80" },
        { "::1", "an IPv6 address stands in brackets: [::1]:80" },
        { "a:b:80", "an IPv6 address stands in brackets: [::1]:80" },
        { "[::1", "no ] behind the IPv6 address" },
        { "[::1:80", "no ] behind the IPv6 address" },
        { "[]:80", "malformed IPv6 address" },
        { "[127.0.0.1]:80", "malformed IPv6 address" },
        { "[::1]80", "something other than a port behind ]" },
        { "[fe80::1%]:80", "malformed IPv6 zone" },
        { "[fe80::1%a-name-that-no-interface-has]:80", "malformed IPv6 zone" },
        { "[fe80::1%nosuchif]:80", "no interface has the name of the IPv6 zone" },
        { "[fe80::1%0]:80", "no interface has the name of the IPv6 zone" },
        { "http://127.0.0.1:80", "a URL is no address: write HOST:PORT" },
        { "unix:", "the path of a Unix socket begins with a slash" },
        { "unix:a.sock", "the path of a Unix socket begins with a slash" },
        { "unix:@abstract", "the path of a Unix socket begins with a slash" },
        { "a b:80", "a character that no host name has" },
        { "a/b:80", "a character that no host name has" },
        { "b\303\274cher:80", "a character that no host name has" }, /* not in ASCII */
        { ".a:80", "the host name has an empty label" },
        { "a..b:80", "the host name has an empty label" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr_spec spec;

        assert_str(weir_str_from(addr_parse(cases[i].text, &spec)), cases[i].why);
    }
}

/* `prefix`, then `n` times `c`, then `suffix`. */
static const char *parse_long(const char *prefix, size_t n, char c, const char *suffix)
{
    char text[600] = { 0 };
    struct addr_spec spec;

    strcpy(text, prefix);
    memset(text + strlen(text), c, n);
    strcat(text, suffix);
    return addr_parse(text, &spec);
}

static void lengths(void **state)
{
    (void)state;
    assert_null(parse_long("", 63, 'a', ":80"));
    assert_string_equal(parse_long("", 64, 'a', ":80"), "a label of the host name is too long");
    assert_string_equal(parse_long("a.", 252, 'a', ":80"), "the host name is too long");
    assert_null(parse_long("unix:/", 106, 'p', ""));
    assert_string_equal(parse_long("unix:/", 107, 'p', ""),
                        "the path of a Unix socket has at most 107 bytes");
}

static void longest_texts(void **state)
{
    struct addr v6 = { .kind = ADDR_V6, .port = 65535, .scope = UINT32_MAX };
    char path[108] = "/", buf[ADDR_TEXT];
    struct addr un = { .kind = ADDR_UNIX, .path = path };

    (void)state;
    memset(v6.ip, 0xaa, sizeof v6.ip);
    assert_str(addr_print(&v6, buf), "[aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa%4294967295]:65535");
    memset(path, '/', 107);
    assert_int_equal(addr_print(&un, buf).len, 112);
    assert_str(addr_print(&(struct addr){ .kind = ADDR_NONE }, buf), "none");
}

/* Of one, two and three digits; and the copy in an arena is as long as its text. */
static void every_byte(void **state)
{
    char room[256], want[32];
    struct arena arena;

    (void)state;
    for (unsigned n = 0; n < 256; n++) {
        struct addr a = { .kind = ADDR_V4, .port = (uint16_t)(n * 257), .ip = { n, 9, 10, 255 } };
        weir_str text;

        arena_init(&arena, room, sizeof room);
        snprintf(want, sizeof want, "%u.9.10.255:%u", n, n * 257);
        text = addr_print_in(&arena, &a);
        assert_str(text, want);
        assert_ptr_equal(arena.at, text.ptr + text.len);
        *strchr(want, ':') = '\0';
        assert_str(addr_host_in(&arena, &a), want);
    }
}

static struct addr parsed(const char *text)
{
    struct addr_spec spec;

    assert_null(addr_parse(text, &spec));
    assert_int_equal(spec.form, SPEC_ADDR);
    return spec.addr;
}

static void comparisons(void **state)
{
    static const struct {
        const char *a, *b;
        bool eq, same_host;
    } cases[] = {
        { "1.2.3.4:80", "1.2.3.4:80", true, true },
        { "1.2.3.4:80", "1.2.3.4:81", false, true },
        { "1.2.3.4:80", "1.2.3.5:80", false, false },
        { "[::1]:80", "[0:0::1]:80", true, true },
        { "[fe80::1%1]:80", "[fe80::1%2]:80", false, false },
        { "[::1]:80", "[::2]:80", false, false },
        { "0.0.0.0:80", "[::]:80", false, false },
        { "unix:/a", "unix:/a", true, true },
        { "unix:/a", "unix:/b", false, false },
        { "unix:/a", "0.0.0.0:0", false, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a = parsed(cases[i].a), b = parsed(cases[i].b);

        assert_int_equal(addr_eq(&a, &b), cases[i].eq);
        assert_int_equal(addr_eq(&b, &a), cases[i].eq);
        assert_int_equal(addr_same_host(&a, &b), cases[i].same_host);
    }
}

static void kernel_form(void **state)
{
    static const char *const texts[] = { "1.2.3.4:80", "[2001:db8::1%3]:65535", "[::]:0" };
    struct sockaddr_storage ss;
    char buf[ADDR_TEXT];
    struct addr a, b;
    socklen_t len;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        a = parsed(texts[i]);
        len = addr_to_sockaddr(&a, &ss);
        addr_from_sockaddr(&b, &ss, len);
        assert_true(addr_eq(&a, &b));
        addr_from_sockaddr(&b, &ss, len - 1);
        assert_int_equal(b.kind, ADDR_NONE);
    }

    a = parsed("[::ffff:10.0.0.1]:80"); /* as a v6 socket shows a v4 peer */
    len = addr_to_sockaddr(&a, &ss);
    addr_from_sockaddr(&b, &ss, len);
    assert_str(addr_print(&b, buf), "10.0.0.1:80");

    a = parsed("unix:/run/x");
    len = addr_to_sockaddr(&a, &ss);
    assert_string_equal(((struct sockaddr_un *)&ss)->sun_path, "/run/x");
    addr_from_sockaddr(&b, &ss, sizeof(sa_family_t)); /* an unnamed client, as accept tells it */
    assert_str(addr_print(&b, buf), "unix:");
    addr_from_sockaddr(&b, &ss, 0);
    assert_int_equal(b.kind, ADDR_NONE);
}

static void zone_names(void **state)
{
    unsigned lo = if_nametoindex("lo");

    (void)state;
    if (lo != 0) /* not every namespace has one */
        assert_int_equal(parsed("[fe80::1%lo]:80").scope, lo);
}

static void networks(void **state)
{
    static const struct {
        const char *net, *addr;
        bool has;
    } cases[] = {
        { "10.0.0.0/8", "10.255.0.1:1", true },
        { "10.0.0.0/8", "11.0.0.0:1", false },
        { "10.0.0.0/8", "9.255.255.255:1", false },
        { "192.168.0.128/25", "192.168.0.200:1", true },
        { "192.168.0.128/25", "192.168.0.127:1", false },
        { "127.0.0.1", "127.0.0.1:9", true },
        { "127.0.0.1", "127.0.0.2:9", false },
        { "0.0.0.0/0", "1.2.3.4:1", true },
        { "0.0.0.0/0", "[::]:1", false },
        { "::/0", "[::1]:1", true },
        { "::/0", "0.0.0.0:1", false },
        { "::1", "[::1]:5", true },
        { "::1", "[::2]:5", false },
        { "fd00::/9", "[fd7f::]:1", true },
        { "fd00::/9", "[fd80::]:1", false },
        { "0.0.0.0/0", "unix:/a", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a = parsed(cases[i].addr);
        struct addr_net net;

        assert_null(addr_net_parse(cases[i].net, &net));
        if (addr_net_has(&net, &a) != cases[i].has)
            fail_case(weir_str_from(cases[i].net), "%s", cases[i].addr);
    }
}

static void networks_refused(void **state)
{
    static const char *const cases[] = {
        "",          "10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/-1",  "10.0.0.0/8/8", "10.0.0/8",
        "localhost", "::/129",      "[::1]",       "10.0.0.1:80",  "10.1.0.0/8",   "127.0.0.1/31",
        "::1/64",    "unix:",       "10.0.0.0 /8", "10.0.0.0/08x", "/8",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr_net net;

        if (addr_net_parse(cases[i], &net) == NULL)
            fail_case(weir_str_from(cases[i]), "accepted");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),      cmocka_unit_test(ports),
        cmocka_unit_test(refused),       cmocka_unit_test(lengths),
        cmocka_unit_test(longest_texts), cmocka_unit_test(comparisons),
        cmocka_unit_test(kernel_form),   cmocka_unit_test(zone_names),
        cmocka_unit_test(networks),      cmocka_unit_test(networks_refused),
        cmocka_unit_test(every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
