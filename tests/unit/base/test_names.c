#include "base/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct names names;

static int start(void **state)
{
    (void)state;
    names_init(&names);
    return 0;
}

static int end(void **state)
{
    (void)state;
    names_fini(&names);
    return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

static void the_empty_text_is_identity_zero(void **state)
{
    (void)state;
    assert_int_equal(names_add(&names, ""), 0);
    assert_int_equal(names_find(&names, ""), 0);
    assert_string_equal(names_text(&names, 0), "");
}

static void identities_are_given_in_order_of_first_use(void **state)
{
    (void)state;
    assert_int_equal(names_add(&names, "b"), 1);
    assert_int_equal(names_add(&names, "a"), 2);
    assert_int_equal(names_add(&names, "b"), 1);
    assert_int_equal(names_add(&names, "c"), 3);
    assert_int_equal(names.list.count, 4);
}

static void what_was_not_added_is_not_found(void **state)
{
    (void)state;
    assert_int_equal(names_find(&names, "a"), UINT32_MAX);
    names_add(&names, "a");
    assert_int_equal(names_find(&names, "a"), 1);
    assert_int_equal(names_find(&names, "A"), UINT32_MAX);
}

static void the_text_is_a_copy(void **state)
{
    (void)state;
    char text[] = "link";
    uint32_t id = names_add(&names, text);
    text[0] = 'p';
    assert_string_equal(names_text(&names, id), "link");
}

static void many_names_keep_their_identity_and_text(void **state)
{
    (void)state;
    char text[32];
    for (uint32_t i = 1; i <= 50000; i++) {
        snprintf(text, sizeof text, "gpu[%u]", i);
        assert_int_equal(names_add(&names, text), i);
    }
    for (uint32_t i = 1; i <= 50000; i++) {
        snprintf(text, sizeof text, "gpu[%u]", i);
        assert_int_equal(names_find(&names, text), i);
        assert_string_equal(names_text(&names, i), text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_empty_text_is_identity_zero),         TEST(identities_are_given_in_order_of_first_use),
        TEST(what_was_not_added_is_not_found),         TEST(the_text_is_a_copy),
        TEST(many_names_keep_their_identity_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
