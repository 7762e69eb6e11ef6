/* test_head.c -- fields found, changed, removed; Connection; known names. */
#include "heads.h"

#include "codec/chars.h"

/* "Name=value;" of all fields. */
static const char *listed(const struct weir_head *h)
{
    static char text[2000];
    weir_str name, value;

    text[0] = '\0';
    for (size_t i = 0; weir_head_at(h, i, &name, &value); i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s=%.*s;", WEIR_ARG(name),
                 WEIR_ARG(value));
    return text;
}

struct fixture {
    struct arena arena;
    struct weir_head head;
};

static void begin(struct fixture *f, const char *fields)
{
    arena_init(&f->arena, NULL, 0);
    head_init(&f->head, &f->arena, 0);
    while (*fields != '\0') {
        const char *eq = strchr(fields, '='), *end = strchr(fields, ';');

        weir_head_add(&f->head, (weir_str){ fields, (size_t)(eq - fields) },
                      (weir_str){ eq + 1, (size_t)(end - eq - 1) });
        fields = end + 1;
    }
    assert_int_equal(f->head.failed, 0);
}

static void end(struct fixture *f)
{
    arena_done(&f->arena);
}

static void known_names(void **state)
{
    static const struct {
        const char *name;
        enum field_id want;
    } others[] = {
        { "", FIELD_OTHER },          { "H", FIELD_OTHER },         { "Hos", FIELD_OTHER },
        { "Hosts", FIELD_OTHER },     { "Hxxt", FIELD_OTHER },
        { "X-Forwarded-Foo", FIELD_OTHER },
        { "Content_Length", FIELD_OTHER }, { "Content-Length ", FIELD_OTHER },
        { "\x48o\x13t", FIELD_OTHER }, { "Transfer\rEncoding", FIELD_OTHER },
        { "HTTP\x12-Settings", FIELD_OTHER },
    };

    (void)state;
    for (int id = FIELD_OTHER + 1; id < FIELD_COUNT; id++) {
        weir_str name = field_name_of((enum field_id)id);
        char text[40];

        for (int shift = 0; shift < 3; shift++) { /* as it is, in capitals, in small letters */
            for (size_t i = 0; i < name.len; i++) {
                char c = name.ptr[i];
                bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

                text[i] = !letter || shift == 0 ? c
                          : shift == 1          ? (char)(c & ~0x20)
                                                : (char)(c | 0x20);
            }
            if (field_id_of((weir_str){ text, name.len }) != (enum field_id)id)
                fail_msg("%s is not found", name.ptr);
        }
        text[name.len - 1] ^= 1;
        assert_int_equal(field_id_of((weir_str){ text, name.len }), FIELD_OTHER);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(field_id_of(weir_str_from(others[i].name)), others[i].want);
}

/* Any other bytes in the place of any byte of a known name: never the known name. */
static void no_byte_is_mistaken(void **state)
{
    (void)state;
    for (int id = FIELD_OTHER + 1; id < FIELD_COUNT; id++) {
        weir_str name = field_name_of((enum field_id)id);
        char text[40];

        memcpy(text, name.ptr, name.len);
        for (size_t i = 0; i < name.len; i++) {
            for (int c = 0; c < 256; c++) {
                weir_str spoiled = { text, name.len };

                text[i] = (char)c;
                assert_int_equal(field_id_of(spoiled) == (enum field_id)id,
                                 weir_str_eq_nocase(spoiled, name));
            }
            text[i] = name.ptr[i];
        }
    }
}

static void methods(void **state)
{
    (void)state;
    assert_int_equal(method_of(LIT("GET")), METHOD_GET);
    assert_int_equal(method_of(LIT("CONNECT")), METHOD_CONNECT);
    assert_int_equal(method_of(LIT("TRACE")), METHOD_TRACE);
    assert_int_equal(method_of(LIT("PATCH")), METHOD_PATCH);
    assert_int_equal(method_of(LIT("get")), METHOD_OTHER); /* case matters, RFC 9110 9.1 */
    assert_int_equal(method_of(LIT("GETS")), METHOD_OTHER);
    assert_int_equal(method_of(LIT("")), METHOD_OTHER);
}

static void classes_of_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 128);
        bool token = alnum || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        bool host = alnum || (c != 0 && strchr("-._~!$&'()*+,;=", c) != NULL);
        char byte = (char)c;

        assert_int_equal(is_token((weir_str){ &byte, 1 }), token);
        assert_int_equal(is_field_value((weir_str){ &byte, 1 }),
                         c == '\t' || (c >= 32 && c != 127));
        assert_int_equal(char_is(byte, CHAR_HOST), host);
        assert_int_equal(char_is(byte, CHAR_TARGET),
                         host || (c != 0 && strchr(":@/?[]|", c) != NULL));
        assert_int_equal(char_is(byte, CHAR_QUERY),
                         host || (c != 0 && strchr(":@/?[]|^`{}", c) != NULL));
        assert_int_equal(char_is(byte, CHAR_HEX), c < 128 && c != 0 &&
                                                      strchr("0123456789abcdefABCDEF", c) != NULL);
        assert_int_equal(char_is(byte, CHAR_UNRESERVED),
                         alnum || (c != 0 && strchr("-._~", c) != NULL));
        assert_int_equal(char_is(byte, CHAR_QUOTED), c == '\t' ||
                         (c >= 32 && c != '"' && c != '\\' && c != 127));
    }
    assert_false(is_token(LIT("")));
    assert_true(is_field_value(LIT("")));
}

static void fields_are_found_by_any_case(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "HOST=a;x-One=1;Cookie=c;X-one=2;Empty=;");
    assert_str(weir_get(&f.head, "host"), "a");
    assert_str(weir_get(&f.head, "X-ONE"), "1");
    assert_str(weir_get(&f.head, "x-on"), NULL);
    assert_str(weir_get(&f.head, "TE"), NULL);
    assert_str(weir_get(&f.head, "empty"), "");
    assert_str(weir_get(&f.head, ""), NULL);
    assert_str(weir_get(&f.head, (const char *)NULL), NULL);
    assert_true(weir_has(&f.head, "EMPTY"));
    assert_false(weir_has(&f.head, "absent"));
    assert_null(weir_get(&f.head, ((weir_str){ NULL, 4 })).ptr); /* has no bytes all the same */
    assert_false(weir_has(&f.head, ((weir_str){ NULL, 1 })));
    weir_del(&f.head, ((weir_str){ NULL, 1 }));
    end(&f);
}

static void changes(void **state)
{
    static const struct {
        const char *before;
        char op; /* '=' set, '+' add, '-' delete */
        const char *name, *value, *want;
    } cases[] = {
        { "", '=', "A", "b", "A=b;" },
        { "A=1;", '=', "a", "2", "A=2;" }, /* the spelling stays */
        { "A=1;B=2;a=3;C=4;A=5;", '=', "A", "9", "A=9;B=2;C=4;" },
        { "Host=1;B=2;host=3;", '=', "HOST", "9", "Host=9;B=2;" },
        { "A=1;", '=', "A", "", "A=;" },
        { "A=1;B=2;a=3;", '=', "A", NULL, "B=2;" }, /* absent deletes */
        { "B=2;", '=', "A", NULL, "B=2;" },
        { "A=1;", '=', "B", " \tx y\t ", "A=1;B=x y;" },
        { "A=1;B=2;", '+', "a", "3", "A=1;B=2;a=3;" },
        { "A=1;", '+', "A", NULL, "A=1;" },
        { "A=1;", '+', "A", "", "A=1;A=;" },
        { "Via=1;", '+', "via", "2", "Via=1;via=2;" },
        { "A=1;B=2;a=3;", '-', "a", NULL, "B=2;" },
        { "TE=1;B=2;te=3;", '-', "te", NULL, "B=2;" },
        { "B=2;", '-', "a", NULL, "B=2;" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        weir_str name = weir_str_from(cases[i].name), value = weir_str_from(cases[i].value);
        struct fixture f;

        begin(&f, cases[i].before);
        if (cases[i].op == '=')
            weir_set(&f.head, name, value);
        else if (cases[i].op == '+')
            weir_add(&f.head, name, value);
        else
            weir_del(&f.head, name);
        assert_string_equal(listed(&f.head), cases[i].want);
        assert_int_equal(f.head.failed, 0);
        end(&f);
    }
}

/* Nothing that a filter hands in may split a head. */
static void bad_changes_mark_the_head(void **state)
{
    static const struct {
        weir_str name, value;
    } cases[] = {
        { TEXT("A"), TEXT("b\r\nC: d") }, { TEXT("A"), TEXT("b\n") },   { TEXT("A"), TEXT("b\rc") },
        { TEXT("A"), TEXT("b\0c") },      { TEXT("A"), TEXT("\x7f") },  { TEXT("A"), TEXT("\x01") },
        { TEXT("A:"), TEXT("b") },        { TEXT("A "), TEXT("b") },    { TEXT(" A"), TEXT("b") },
        { TEXT(""), TEXT("b") },          { TEXT("A\r\nB"), TEXT("") },
        { TEXT("\xc3\xa9"), TEXT("b") },
        { { NULL, 0 }, TEXT("b") },       { TEXT("Host\n"), TEXT("b") },
        { { NULL, 4 }, TEXT("b") },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int add = 0; add < 2; add++) {
            struct fixture f;

            begin(&f, "A=1;Host=h;");
            if (add)
                weir_add(&f.head, cases[i].name, cases[i].value);
            else
                weir_set(&f.head, cases[i].name, cases[i].value);
            assert_string_equal(listed(&f.head), "A=1;Host=h;");
            assert_int_equal(f.head.failed, WEIR_EFIELD);
            end(&f);
        }
    }
}

static void values_are_copied(void **state)
{
    char name[] = "X-Name", value[] = "value", known[] = "hOST";
    struct fixture f;

    (void)state;
    begin(&f, "");
    weir_set(&f.head, name, value);
    weir_add(&f.head, known, value);
    weir_add(&f.head, "Cookie", "\xc3\xa9\t\x80"); /* obs-text and tabs are legal */
    memset(name, '#', sizeof(name) - 1);
    memset(value, '#', sizeof(value) - 1);
    memset(known, '#', sizeof(known) - 1);
    assert_string_equal(listed(&f.head), "X-Name=value;hOST=value;Cookie=\xc3\xa9\t\x80;");
    end(&f);
}

static void many_fields_keep_their_order(void **state)
{
    struct fixture f;
    weir_str name, value;

    (void)state;
    begin(&f, "");
    for (int i = 0; i < 500; i++)
        weir_add(&f.head, i % 2 ? WEIR("Via") : arena_printf(&f.arena, "x-%d", i),
                 arena_printf(&f.arena, "%d", i));
    for (size_t i = 0; i < 500; i++) {
        assert_true(weir_head_at(&f.head, i, &name, &value));
        assert_true(weir_str_eq(value, arena_printf(&f.arena, "%zu", i)));
    }
    assert_false(weir_head_at(&f.head, 500, &name, &value));
    assert_true(weir_head_at(&f.head, 0, NULL, NULL));
    assert_int_equal(head_count_id(&f.head, FIELD_VIA), 250);
    end(&f);
}

static void by_number(void **state)
{
    struct fixture f;
    struct field *field;

    (void)state;
    begin(&f, "Via=1;x=2;via=3;");
    assert_null(head_first_id(&f.head, FIELD_TE));
    assert_int_equal(head_count_id(&f.head, FIELD_TE), 0);
    field = head_first_id(&f.head, FIELD_VIA);
    field = head_next_id(&f.head, field);
    assert_true(weir_eq(((weir_str){ field->value, field->value_len }), "3"));
    assert_null(head_next_id(&f.head, field));
    head_add_id(&f.head, FIELD_TE, LIT("trailers"));
    head_add_id(&f.head, FIELD_AGE, (weir_str){ NULL, 0 });
    head_set_id(&f.head, FIELD_VIA, LIT("9"));
    assert_string_equal(listed(&f.head), "Via=9;x=2;TE=trailers;");
    assert_true(head_has_id(&f.head, FIELD_TE));
    head_set_id(&f.head, FIELD_TE, (weir_str){ NULL, 0 });
    assert_false(head_has_id(&f.head, FIELD_TE));
    head_del_id(&f.head, FIELD_VIA);
    head_del_id(&f.head, FIELD_VIA);
    assert_string_equal(listed(&f.head), "x=2;");
    assert_str(head_get_id(&f.head, FIELD_VIA), NULL);
    end(&f);
}

static void hop_by_hop_fields_end_here(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "Host=a;Connection=close;X=1;", "Host=a;X=1;" },
        { "Keep-Alive=1;Proxy-Connection=2;TE=3;Trailer=4;Transfer-Encoding=5;Upgrade=6;"
          "Content-Length=7;HTTP2-Settings=8;connection=9;A=b;", "A=b;" },
        { "X-Hop=1;Connection=x-hop;x-HOP=2;X=3;", "X=3;" },
        { "X=1;Connection=a, x,,y;Y=2;Z=3;", "Z=3;" },
        { "X=1;Connection=a;Connection=X;", "" },
        { "close=1;Connection=close;", "close=1;" }, /* an option, not a field */
        /* what is meant for the whole way stays, whatever Connection says */
        { "Host=a;Cookie=c;Connection=host, cookie;", "Host=a;Cookie=c;" },
        { "Authorization=a;Connection=authorization;", "Authorization=a;" },
        { "X-Forwarded-For=1;X-Forwarded-Port=2;X-Real-IP=3;"
          "Connection=x-forwarded-for, x-forwarded-port, x-real-ip;",
          "X-Forwarded-For=1;X-Forwarded-Port=2;X-Real-IP=3;" },
        { "Cache-Control=private;Connection=cache-control;", "Cache-Control=private;" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct weir_head copy;
        struct arena arena;

        begin(&f, cases[i].in);
        f.head.target = LIT("/t");
        arena_init(&arena, NULL, 0);
        assert_int_equal(head_copy_end_to_end(&copy, &f.head, &arena), 0);
        assert_string_equal(listed(&copy), cases[i].want);
        assert_str(copy.target, "/t");
        assert_false(head_has_id(&copy, FIELD_CONNECTION));
        assert_false(head_has_id(&copy, FIELD_CONTENT_LENGTH));
        weir_set(&copy, "New", "1");
        assert_str(weir_get(&f.head, "New"), NULL);
        arena_done(&arena);
        end(&f);
    }
}

static void connection_may_not_name_all(void **state)
{
    static const struct {
        const char *in;
        int want;
    } cases[] = {
        { "", 0 },
        { "Connection=;", 0 },
        { "Connection=close;", 0 },
        { "Connection=keep-alive, Upgrade, HTTP2-Settings, TE, trailer;", 0 },
        { "Connection=x-anything, y;", 0 },
        { "Connection=,close,,;", 0 },
        { "Connection=a,b,c,d,e,f,g,h,i;", 0 },
        { "Connection=a,b,c,d,e,f,g,h,i,j;", WEIR_EBADCONN },
        { "Connection=a,b,c,d,e;Connection=f,g,h,i,j;", WEIR_EBADCONN },
        { "Connection=,,,,,,,,,,,;", WEIR_EBADCONN },
        { "Connection=close x;", WEIR_EBADCONN },
        { "Connection=\"close\";", WEIR_EBADCONN },
        { "Connection=Host;", WEIR_EBADCONN },
        { "Connection=close;connection=content-length;", WEIR_EBADCONN },
        { "Connection=Transfer-Encoding;", WEIR_EBADCONN },
        { "Connection=authorization;", WEIR_EBADCONN },
        { "Connection=cookie;", WEIR_EBADCONN },
        { "Connection=close, X-FORWARDED-FOR;", WEIR_EBADCONN },
        { "Connection=x-forwarded-port;", WEIR_EBADCONN },
        { "Connection=X-Real-Ip;", WEIR_EBADCONN },
        { "Connection=forwarded;", WEIR_EBADCONN },
        { "Connection=x-forwarded;", 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *reason = NULL;
        struct fixture f;

        begin(&f, cases[i].in);
        if (head_check_connection(&f.head, &reason) != cases[i].want)
            fail_case(weir_str_from(cases[i].in), "%s", reason ? reason : "accepted");
        assert_true((reason != NULL) == (cases[i].want < 0));
        end(&f);
    }
}

static void lists_of_tokens(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "Connection=a, Close ,b;connection=y,\tx;TE=;");
    assert_true(head_lists_token(&f.head, FIELD_CONNECTION, LIT("close")));
    assert_true(head_lists_token(&f.head, FIELD_CONNECTION, LIT("X")));
    assert_false(head_lists_token(&f.head, FIELD_CONNECTION, LIT("clos")));
    assert_false(head_lists_token(&f.head, FIELD_CONNECTION, LIT("a, close")));
    assert_false(head_lists_token(&f.head, FIELD_TE, LIT("trailers")));
    assert_false(head_lists_token(&f.head, FIELD_VIA, LIT("x")));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_names),
        cmocka_unit_test(no_byte_is_mistaken),
        cmocka_unit_test(methods),
        cmocka_unit_test(classes_of_bytes),
        cmocka_unit_test(fields_are_found_by_any_case),
        cmocka_unit_test(changes),
        cmocka_unit_test(bad_changes_mark_the_head),
        cmocka_unit_test(values_are_copied),
        cmocka_unit_test(many_fields_keep_their_order),
        cmocka_unit_test(by_number),
        cmocka_unit_test(hop_by_hop_fields_end_here),
        cmocka_unit_test(connection_may_not_name_all),
        cmocka_unit_test(lists_of_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
