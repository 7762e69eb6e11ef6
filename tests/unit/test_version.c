/* test_version.c -- `weir --version` names a version and a commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/version.h"

static void names_version_and_commit(void **state)
{
    (void)state;
    assert_int_equal(strncmp(version_text, WEIR_VERSION " (commit ", strlen(WEIR_VERSION) + 9), 0);
    assert_int_equal(version_text[strlen(version_text) - 1], ')');
    assert_null(strstr(version_text, "@"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_version_and_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
