/* test_clients.c -- connections counted by address, ports aside. */
#include "cases.h"
#include "server/clients.h"

static struct addr address(const char *text)
{
    struct addr_spec spec;

    if (addr_parse(text, &spec) != NULL || spec.form != SPEC_ADDR)
        fail_msg("\"%s\" is no address", text);
    return spec.addr;
}

static bool enter(struct clients *c, const char *text)
{
    struct addr a = address(text);

    return clients_enter(c, &a);
}

static void leave(struct clients *c, const char *text)
{
    struct addr a = address(text);

    clients_leave(c, &a);
}

static void an_address_has_its_bound(void **state)
{
    struct clients *c = clients_new(2);

    (void)state;
    assert_non_null(c);
    for (int round = 0; round < 3; round++) {
        assert_true(enter(c, "127.0.0.1:1"));
        assert_true(enter(c, "127.0.0.1:2"));
        assert_false(enter(c, "127.0.0.1:3"));
        assert_true(enter(c, "127.0.0.2:1"));
        assert_true(enter(c, "[::1]:1"));
        assert_true(enter(c, "[::1]:2"));
        assert_false(enter(c, "[::1]:1"));
        leave(c, "127.0.0.1:2");
        assert_true(enter(c, "127.0.0.1:9"));
        assert_false(enter(c, "127.0.0.1:2"));
        leave(c, "127.0.0.1:1");
        leave(c, "127.0.0.1:9");
        leave(c, "127.0.0.2:1");
        leave(c, "[::1]:1");
        leave(c, "[::1]:2");
    }
    clients_free(&c);
    assert_null(c);
}

static void unix_clients_are_let_in(void **state)
{
    struct addr a = { .kind = ADDR_UNIX };
    struct clients *c = clients_new(1);

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_true(clients_enter(c, &a));
    clients_leave(c, &a);
    clients_free(&c);
}

static void many_addresses(void **state)
{
    enum { COUNT = 50000 };
    struct clients *c = clients_new(1);

    (void)state;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < COUNT; i++) {
            struct addr a = { .kind = ADDR_V4, .port = (uint16_t)i };

            memcpy(a.ip, &i, sizeof(i));
            assert_true(clients_enter(c, &a) == (pass == 0));
        }
    }
    for (unsigned i = 0; i < COUNT; i += 2) {
        struct addr a = { .kind = ADDR_V4 };

        memcpy(a.ip, &i, sizeof(i));
        clients_leave(c, &a);
        assert_true(clients_enter(c, &a));
    }
    clients_free(&c); /* with entries */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_bound),
        cmocka_unit_test(unix_clients_are_let_in),
        cmocka_unit_test(many_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
