#include "base/arena.h"
#include "base/vector.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;

static int start(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

/* Sizes up to beyond a block; each piece is filled with its number and looked at when all are there. */
static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    enum { PIECES = 600 };
    unsigned char *pieces[PIECES];
    size_t total = 0;
    for (size_t i = 0; i < PIECES; i++) {
        size_t bytes = i * i % 1999 + (i % 100 == 99 ? 70000 : 0);
        pieces[i] = arena_alloc(&arena, bytes);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t b = 0; b < bytes; b++)
            assert_int_equal(pieces[i][b], 0);
        memset(pieces[i], (int)(i % 255 + 1), bytes);
        total += bytes;
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t b = 0; b < i * i % 1999 + (i % 100 == 99 ? 70000 : 0); b++)
            assert_int_equal(pieces[i][b], i % 255 + 1);
    if (arena.total < total)
        fail_msg("%zu bytes hold %zu", arena.total, total);
}

static void texts_are_copied_and_formatted(void **state)
{
    (void)state;
    char text[] = "pipeline";
    const char *copy = arena_text(&arena, text);
    text[0] = 'P';
    assert_string_equal(copy, "pipeline");
    assert_string_equal(arena_format(&arena, "%s-%d", copy, 8), "pipeline-8");
    assert_string_equal(arena_format(&arena, "%s", ""), "");
    assert_memory_equal(arena_copy(&arena, "ab\0c", 4), "ab\0c", 4);
    assert_non_null(arena_copy(&arena, NULL, 0));
}

static void a_released_arena_may_be_used_again(void **state)
{
    (void)state;
    arena_alloc(&arena, 100000);
    arena_fini(&arena);
    assert_int_equal(arena.total, 0);
    int *numbers = ARENA_ARRAY(&arena, int, 1000);
    assert_int_equal(numbers[999], 0);
}

static void a_vector_keeps_its_elements_while_it_grows(void **state)
{
    (void)state;
    VECTOR(uint64_t) vector = {0};
    for (uint64_t i = 0; i < 100000; i++)
        VECTOR_PUSH(&vector, i * i);
    assert_int_equal(vector.count, 100000);
    assert_true(vector.room >= vector.count && vector.room < 2 * vector.count);
    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(vector.at[i], i * i);
    VECTOR_FREE(&vector);
    assert_null(vector.at);
    assert_int_equal(vector.count + vector.room, 0);
}

static void a_pushed_item_is_evaluated_once(void **state)
{
    (void)state;
    VECTOR(int) vector = {0};
    int next = 0;
    for (int i = 0; i < 40; i++)
        VECTOR_PUSH(&vector, next++);
    assert_int_equal(next, 40);
    assert_int_equal(vector.at[39], 39);
    VECTOR_FREE(&vector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pieces_are_zeroed_aligned_and_apart), TEST(texts_are_copied_and_formatted),
        TEST(a_released_arena_may_be_used_again),  TEST(a_vector_keeps_its_elements_while_it_grows),
        TEST(a_pushed_item_is_evaluated_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
