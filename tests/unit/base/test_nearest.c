#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void known_distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned distance;
    } cases[] = {{"", "", 0},       {"", "abc", 3},       {"abc", "abc", 0},
                 {"abc", "ABC", 0}, {"abc", "acb", 1},    {"kitten", "sitting", 3},
                 {"ca", "abc", 3},  {"gpip", "gpipe", 1}, {"flaw", "lawn", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (nearest_distance(cases[i].a, cases[i].b) != cases[i].distance)
            fail_msg("'%s' to '%s' is %u; expected %u", cases[i].a, cases[i].b,
                     nearest_distance(cases[i].a, cases[i].b), cases[i].distance);
}

/* The definition by recursion over the ends of both texts. */
static unsigned recursive(const char *a, size_t rows, const char *b, size_t columns)
{
    if (!rows || !columns)
        return (unsigned)(rows + columns);
    unsigned best = recursive(a, rows - 1, b, columns) + 1, other = recursive(a, rows, b, columns - 1) + 1;
    best = other < best ? other : best;
    other = recursive(a, rows - 1, b, columns - 1) + (a[rows - 1] != b[columns - 1]);
    best = other < best ? other : best;
    if (rows > 1 && columns > 1 && a[rows - 1] == b[columns - 2] && a[rows - 2] == b[columns - 1]) {
        other = recursive(a, rows - 2, b, columns - 2) + 1;
        best = other < best ? other : best;
    }
    return best;
}

static void random_distances_agree_with_the_definition(void **state)
{
    (void)state;
    uint64_t random = 12345;
    for (int i = 0; i < 400; i++) {
        char texts[2][7];
        for (int t = 0; t < 2; t++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t length = (random >> 33) % 7;
            for (size_t c = 0; c < length; c++)
                texts[t][c] = (char)('a' + (random >> (35 + 2 * c)) % 3);
            texts[t][length] = '\0';
        }
        unsigned got = nearest_distance(texts[0], texts[1]);
        unsigned wanted = recursive(texts[0], strlen(texts[0]), texts[1], strlen(texts[1]));
        if (got != wanted)
            fail_msg("'%s' to '%s' is %u; expected %u", texts[0], texts[1], got, wanted);
    }
}

static void long_texts_are_far_unless_short_enough(void **state)
{
    (void)state;
    char a[300], b[300];
    memset(a, 'a', sizeof a);
    a[299] = '\0';
    memcpy(b, a, sizeof b);
    assert_int_equal(nearest_distance(a, b), 299);
    a[96] = b[96] = '\0';
    assert_int_equal(nearest_distance(a, b), 0);
}

static void a_name_with_nothing_in_common_is_not_near(void **state)
{
    (void)state;
    const char *const names[] = {"b", "x", "yx"};
    assert_null(nearest_name("z", names, 3));
    assert_string_equal(nearest_name("X", names, 3), "x");
}

static void the_beginning_of_a_name_is_near_to_it(void **state)
{
    (void)state;
    const char *const names[] = {"resnet50", "vgg16-four-pis", "vgg19"};
    assert_string_equal(nearest_name("vgg", names, 3), "vgg19");
    assert_string_equal(nearest_name("vgg16-fo", names, 3), "vgg16-four-pis");
    assert_null(nearest_name("re", names, 3));
}

static void the_nearest_name_within_a_third_is_found(void **state)
{
    (void)state;
    const char *const names[] = {"gpipe", NULL, "1f1b", "interleaved", "gpipf"};
    assert_string_equal(nearest_name("gpip", names, 5), "gpipe");
    assert_string_equal(nearest_name("gpipf", names, 5), "gpipf");
    assert_string_equal(nearest_name("interlaved", names, 5), "interleaved");
    assert_null(nearest_name("zebra", names, 5));
    assert_null(nearest_name("gpipe", names, 0));
    assert_null(nearest_name("gpi", (const char *const[]){"gpabcd"}, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_distances),
        cmocka_unit_test(random_distances_agree_with_the_definition),
        cmocka_unit_test(long_texts_are_far_unless_short_enough),
        cmocka_unit_test(a_name_with_nothing_in_common_is_not_near),
        cmocka_unit_test(the_beginning_of_a_name_is_near_to_it),
        cmocka_unit_test(the_nearest_name_within_a_third_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
