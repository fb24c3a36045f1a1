#include "input/expression_function.h"

#include "base/nearest.h"

#include <math.h>
#include <string.h>

static double expression_function_ceil(double unused, double x)
{
    (void)unused;
    return ceil(x);
}

static double expression_function_floor(double unused, double x)
{
    (void)unused;
    return floor(x);
}

static double expression_function_log2(double unused, double x)
{
    (void)unused;
    return log2(x);
}

/* Of whole numbers from 0 to 2^53; of anything else NAN, which the caller reports. */
static bool expression_function_is_count(double x)
{
    return x >= 0 && x <= 0x1p53 && x == floor(x);
}

static double expression_function_bit(double number, double bit)
{
    if (!expression_function_is_count(number) || !expression_function_is_count(bit))
        return NAN;
    return bit < 64 ? (double)((uint64_t)number >> (uint64_t)bit & 1) : 0;
}

static double expression_function_xor(double a, double b)
{
    return expression_function_is_count(a) && expression_function_is_count(b)
               ? (double)((uint64_t)a ^ (uint64_t)b)
               : NAN;
}

static const struct expression_function expression_function_table[] = {
    {"min", 1, UINT32_MAX, true, false, fmin},
    {"max", 1, UINT32_MAX, true, false, fmax},
    {"ceil", 1, 1, false, false, expression_function_ceil},
    {"floor", 1, 1, false, false, expression_function_floor},
    {"log2", 1, 1, false, true, expression_function_log2},
    {"pow", 2, 2, false, false, pow},
    {"bit", 2, 2, false, false, expression_function_bit},
    {"xor", 2, 2, false, false, expression_function_xor},
};
enum { EXPRESSION_FUNCTIONS = sizeof expression_function_table / sizeof expression_function_table[0] };

const struct expression_function *expression_function(const char *name)
{
    for (size_t i = 0; i < EXPRESSION_FUNCTIONS; i++)
        if (strcmp(name, expression_function_table[i].name) == 0)
            return &expression_function_table[i];
    return NULL;
}

const char *expression_function_nearest(const char *name)
{
    const char *names[EXPRESSION_FUNCTIONS];
    for (size_t i = 0; i < EXPRESSION_FUNCTIONS; i++)
        names[i] = expression_function_table[i].name;
    return nearest_name(name, names, EXPRESSION_FUNCTIONS);
}
