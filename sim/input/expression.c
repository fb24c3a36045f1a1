/* Recursive descent that evaluates as it parses. The first error is reported and stops it (`failed`); what
 * "and" and "or" need not evaluate is still parsed, with `unused` counting, so that `n > 0 and 8 / n > 1`
 * divides safely. Depth is bounded, so that no input overflows the C stack. */
#include "input/expression.h"

#include "base/nearest.h"
#include "input/expression_function.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXPRESSION_DEPTH = 100 };

struct expression {
    struct input *input;
    const struct scope *scope;
    struct place place; /* of the text's first character */
    const char *text, *at;
    uint32_t depth, unused;
    bool failed;
};

static struct place expression_place(const struct expression *e, const char *at)
{
    struct place place = e->place;
    for (const char *c = e->text; place.line && c < at; c++)
        place.column += ((unsigned char)*c & 0xc0) != 0x80;
    return place;
}

#define FAIL(e, where, ...)                                                                                  \
    ((e)->failed =                                                                                           \
         (e)->failed || !report_error(&(e)->input->report, expression_place((e), (where)), __VA_ARGS__),     \
     (struct quantity){0})

static struct quantity expression_number(double number)
{
    return (struct quantity){.number = number};
}

static void expression_space(struct expression *e)
{
    e->at += strspn(e->at, " \t\r\n");
}

static bool expression_is_letter(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool expression_is_word(char c)
{
    return expression_is_letter(c) || isdigit((unsigned char)c);
}

static size_t expression_word_length(const char *at)
{
    size_t length = 0;
    while (expression_is_word(at[length]))
        length++;
    return length;
}

/* Takes a symbol or a whole word when it stands here. */
static bool expression_take(struct expression *e, const char *token)
{
    expression_space(e);
    size_t length = strlen(token);
    if (strncmp(e->at, token, length) != 0 ||
        (expression_is_letter(*token) && expression_is_word(e->at[length])))
        return false;
    e->at += length;
    return true;
}

static const char *expression_copy(struct expression *e, const char *from, size_t length)
{
    return arena_format(&e->input->arena, "%.*s", (int)length, from);
}

/* What an error message calls the text from here on. */
static const char *expression_here(struct expression *e)
{
    if (!*e->at)
        return "the end";
    size_t length = expression_word_length(e->at);
    return arena_format(&e->input->arena, "'%.*s'", length ? (int)length : 1, e->at);
}

static bool expression_fits(const struct quantity *a, const struct quantity *b)
{
    return a->unit == b->unit || (a->unit == UNIT_NONE && a->number == 0) ||
           (b->unit == UNIT_NONE && b->number == 0);
}

/* Sums, comparisons, minima: both of one unit (0 is of any), which is the result's. */
static bool expression_unify(struct expression *e, const char *at, const char *what, const struct quantity *a,
                             const struct quantity *b, enum unit *unit)
{
    *unit = a->unit == UNIT_NONE ? b->unit : a->unit;
    if (expression_fits(a, b) || e->unused)
        return true;
    FAIL(e, at, "cannot %s %s and %s", what, unit_name(a->unit), unit_name(b->unit));
    return false;
}

/* product = first * second. Division reads it the other way round. */
static const struct {
    enum unit product, first, second;
} expression_products[] = {
    {UNIT_BYTES, UNIT_BYTES_PER_SECOND, UNIT_SECONDS},
    {UNIT_FLOP, UNIT_FLOPS, UNIT_SECONDS},
    {UNIT_JOULES, UNIT_WATTS, UNIT_SECONDS},
    {UNIT_NONE, UNIT_PER_SECOND, UNIT_SECONDS},
    {UNIT_BYTES_PER_SECOND, UNIT_BYTES, UNIT_PER_SECOND},
    {UNIT_FLOPS, UNIT_FLOP, UNIT_PER_SECOND},
    {UNIT_WATTS, UNIT_JOULES, UNIT_PER_SECOND},
};
enum { EXPRESSION_PRODUCTS = sizeof expression_products / sizeof expression_products[0] };

static bool expression_product(enum unit a, enum unit b, enum unit *unit)
{
    *unit = a == UNIT_NONE ? b : a;
    if (a == UNIT_NONE || b == UNIT_NONE)
        return true;
    for (size_t i = 0; i < EXPRESSION_PRODUCTS; i++) {
        enum unit first = expression_products[i].first, second = expression_products[i].second;
        *unit = expression_products[i].product;
        if ((a == first && b == second) || (a == second && b == first))
            return true;
    }
    return false;
}

static bool expression_quotient(enum unit a, enum unit b, enum unit *unit)
{
    *unit = b == UNIT_NONE ? a : UNIT_NONE;
    if (a == b || b == UNIT_NONE)
        return true;
    for (size_t i = 0; i < EXPRESSION_PRODUCTS; i++) {
        enum unit first = expression_products[i].first, second = expression_products[i].second;
        *unit = b == first ? second : first;
        if (a == expression_products[i].product && (b == first || b == second))
            return true;
    }
    return false;
}

static struct quantity expression_finite(struct expression *e, const char *at, struct quantity result)
{
    if (isfinite(result.number) || e->unused)
        return result;
    return FAIL(e, at, "the result is too large");
}

static struct quantity expression_or(struct expression *e);

/* Digits with '_' between digits, a point, an exponent. Returns its length, 0 when there is no number. */
static size_t expression_scan_number(const char *at)
{
    size_t length = 0, digits = 0;
    bool point = false;
    for (;; length++) {
        if (isdigit((unsigned char)at[length]))
            digits++;
        else if (at[length] == '.' && !point)
            point = true;
        else if (at[length] != '_' || !length || !isdigit((unsigned char)at[length - 1]) ||
                 !isdigit((unsigned char)at[length + 1]))
            break;
    }
    if (!digits)
        return 0;
    size_t exponent = length + 1;
    if ((at[length] == 'e' || at[length] == 'E')) {
        exponent += at[exponent] == '+' || at[exponent] == '-';
        size_t first = exponent;
        while (isdigit((unsigned char)at[exponent]))
            exponent++;
        if (exponent > first)
            length = exponent;
    }
    return length;
}

static bool expression_is_one_of(const char *at, const char *const words[])
{
    size_t length = expression_word_length(at);
    for (; *words; words++)
        if (length == strlen(*words) && strncmp(at, *words, length) == 0)
            return true;
    return false;
}

static bool expression_is_keyword(const char *at)
{
    return expression_is_one_of(at, (const char *const[]){"and", "or", "not", NULL});
}

/* After a value even `in` is an operator, which may be a name elsewhere. */
static bool expression_is_operator(const char *at)
{
    return expression_is_keyword(at) || expression_is_one_of(at, (const char *const[]){"in", NULL});
}

/* After a number, '%' is percent unless what follows can only be the second operand of a modulo. */
static bool expression_is_modulo(const struct expression *e)
{
    if (*e->at != '%')
        return false;
    const char *next = e->at + 1 + strspn(e->at + 1, " \t\r\n");
    return (expression_is_word(*next) || *next == '(' || *next == '.') && !expression_is_operator(next);
}

static struct quantity expression_unit_error(struct expression *e)
{
    size_t length = expression_word_length(e->at);
    const char *word = expression_copy(e, e->at, length);
    if (scope_find(e->scope, word))
        return FAIL(e, e->at, "expected an operator before '%s'; to multiply write '*'", word);
    if (e->at[length] == '/' && expression_is_letter(e->at[length + 1]))
        length += 1 + expression_word_length(e->at + length + 1);
    word = expression_copy(e, e->at, length);
    const char *near = unit_nearest(word, UNIT_COUNT);
    if (near)
        return FAIL(e, e->at, "unknown unit '%s'; did you mean '%s'?", word, near);
    return FAIL(e, e->at, "unknown unit '%s'", word);
}

/* After a unit, whether "/word" follows with a word that means nothing: "54 MB/sec". */
static bool expression_is_half_unit(struct expression *e, const char *at)
{
    if (*at != '/' || !expression_is_letter(at[1]))
        return false;
    size_t length = expression_word_length(at + 1);
    const char *word = expression_copy(e, at + 1, length);
    return at[1 + length] != '(' && !scope_find(e->scope, word);
}

static struct quantity expression_literal(struct expression *e)
{
    const char *start = e->at;
    size_t length = expression_scan_number(start), kept = 0;
    char *digits = arena_alloc(&e->input->arena, length + 1);
    for (size_t i = 0; i < length; i++)
        if (start[i] != '_')
            digits[kept++] = start[i];
    struct quantity result = {.number = strtod(digits, NULL)};
    e->at += length;
    if (!isfinite(result.number))
        return FAIL(e, start, "the number is too large");
    if (*e->at == '.')
        return FAIL(e, e->at, "expected a number; got two decimal points");
    expression_space(e);
    double scale = 1;
    size_t symbol = expression_is_modulo(e) ? 0 : unit_parse(e->at, &result.unit, &scale);
    bool word = expression_is_letter(*e->at) && !expression_is_operator(e->at);
    if (word && (!symbol || expression_is_half_unit(e, e->at + symbol)))
        return expression_unit_error(e);
    e->at += symbol;
    result.number *= scale;
    return expression_finite(e, start, result);
}

static struct quantity expression_unknown(struct expression *e, const char *start, const char *what,
                                          const char *name, const char *near)
{
    if (near)
        return FAIL(e, start, "unknown %s '%s'; did you mean '%s'?", what, name, near);
    return FAIL(e, start, "unknown %s '%s'", what, name);
}

/* From the parenthesis on. */
static struct quantity expression_call(struct expression *e, const char *start, const char *name)
{
    const struct expression_function *function = expression_function(name);
    if (!function)
        return expression_unknown(e, start, "function", name, expression_function_nearest(name));
    struct quantity result = {0};
    uint32_t count = 0;
    do {
        const char *at = e->at;
        struct quantity argument = expression_or(e);
        if (e->failed)
            return result;
        if (++count > function->most)
            return FAIL(e, at, "%s takes %s", name, function->most == 1 ? "one argument" : "two arguments");
        if (!function->keeps_unit && argument.unit != UNIT_NONE && !e->unused)
            return FAIL(e, at, "%s takes a number; got %s", name, unit_name(argument.unit));
        if (function->positive && argument.number <= 0 && !e->unused)
            return FAIL(e, at, "%s takes a positive number; got %g", name, argument.number);
        enum unit unit = argument.unit;
        if (count > 1 && !expression_unify(e, at, "compare", &result, &argument, &unit))
            return result;
        result.number = count == 1 && function->most > 1 ? argument.number
                                                         : function->apply(result.number, argument.number);
        result.unit = unit;
        if (isnan(result.number) && !e->unused)
            return FAIL(e, at,
                        "%s has no value for these arguments (bit and xor take whole numbers from 0 on)",
                        name);
    } while (expression_take(e, ","));
    if (!expression_take(e, ")"))
        return FAIL(e, e->at, "expected ',' or ')' in %s(…); got %s", name, expression_here(e));
    if (count < function->least)
        return FAIL(e, start, "%s takes two arguments", name);
    return expression_finite(e, start, result);
}

static const char *expression_nearest(struct expression *e, const char *name)
{
    VECTOR(const char *) names = {0};
    for (const struct scope *scope = e->scope; scope; scope = scope->outer)
        for (uint32_t i = 0; i < scope->bindings.count; i++)
            VECTOR_PUSH(&names, scope->bindings.at[i].name);
    const char *near = nearest_name(name, names.at, names.count);
    VECTOR_FREE(&names);
    return near;
}

/* The binding whose name starts here: the longest that is bound, since a name may contain '-'
 * ("micro-batch"). */
static const struct binding *expression_bound(struct expression *e, size_t *length)
{
    size_t whole = 0;
    while (expression_is_word(e->at[whole]) || (e->at[whole] == '-' && expression_is_word(e->at[whole + 1])))
        whole++;
    for (*length = whole; *length > 0; --*length) {
        if (expression_is_word(e->at[*length]))
            continue;
        const struct binding *binding = scope_find(e->scope, expression_copy(e, e->at, *length));
        if (binding)
            return binding;
    }
    *length = whole;
    return NULL;
}

static struct quantity expression_name(struct expression *e)
{
    const char *start = e->at;
    size_t length, word = expression_word_length(start);
    const struct binding *binding = expression_bound(e, &length);
    if (start[word + strspn(start + word, " \t")] == '(' && (!binding || length == word)) {
        e->at += word;
        expression_take(e, "(");
        return expression_call(e, start, expression_copy(e, start, word));
    }
    if (!binding) {
        const char *first = expression_copy(e, start, word), *whole = expression_copy(e, start, length);
        const char *near = expression_nearest(e, whole);
        if (near)
            return expression_unknown(e, start, "name", whole, near);
        return expression_unknown(e, start, "name", first, expression_nearest(e, first));
    }
    e->at += length;
    if (binding->text)
        return FAIL(e, start, "expected a number; '%s' stands for the text '%s'", binding->name,
                    binding->text);
    if (binding->list)
        return FAIL(e, start, "expected a number; '%s' is a list", binding->name);
    return binding->quantity;
}

static struct quantity expression_primary(struct expression *e)
{
    expression_space(e);
    if (expression_scan_number(e->at))
        return expression_literal(e);
    if (expression_is_letter(*e->at) && !expression_is_keyword(e->at))
        return expression_name(e);
    const char *start = e->at;
    if (!expression_take(e, "("))
        return FAIL(e, e->at, "expected a number, a name or '('; got %s", expression_here(e));
    struct quantity result = expression_or(e);
    if (!e->failed && !expression_take(e, ")"))
        return FAIL(e, e->at, "expected ')' for the '(' at character %d; got %s", (int)(start - e->text) + 1,
                    expression_here(e));
    return result;
}

static struct quantity expression_factor(struct expression *e)
{
    bool minus = expression_take(e, "-");
    struct quantity result = expression_primary(e);
    result.number = minus ? 0 - result.number : result.number;
    return result;
}

static struct quantity expression_divide(struct expression *e, const char *at, struct quantity a,
                                         struct quantity b, char layer_op)
{
    struct quantity result = {.unit = a.unit};
    if (b.number == 0 && !e->unused)
        return FAIL(e, at, "division by zero");
    if (layer_op == '/') {
        if (!expression_quotient(a.unit, b.unit, &result.unit) && !e->unused)
            return FAIL(e, at, "cannot divide %s by %s", unit_name(a.unit), unit_name(b.unit));
        result.number = a.number / b.number;
    } else {
        if (a.unit != b.unit && !e->unused)
            return FAIL(e, at, "cannot take the remainder of %s by %s", unit_name(a.unit), unit_name(b.unit));
        result.number = a.number - b.number * floor(a.number / b.number);
    }
    return expression_finite(e, at, result);
}

static struct quantity expression_term(struct expression *e)
{
    struct quantity result = expression_factor(e);
    while (!e->failed) {
        expression_space(e);
        const char *at = e->at;
        char layer_op = *at;
        if (layer_op != '*' && layer_op != '/' && layer_op != '%')
            break;
        e->at++;
        struct quantity right = expression_factor(e);
        if (e->failed)
            break;
        if (layer_op != '*') {
            result = expression_divide(e, at, result, right, layer_op);
            continue;
        }
        struct quantity product = {.number = result.number * right.number};
        if (!expression_product(result.unit, right.unit, &product.unit) && !e->unused)
            return FAIL(e, at, "cannot multiply %s by %s", unit_name(result.unit), unit_name(right.unit));
        result = expression_finite(e, at, product);
    }
    return result;
}

static struct quantity expression_sum(struct expression *e)
{
    struct quantity result = expression_term(e);
    while (!e->failed) {
        expression_space(e);
        const char *at = e->at;
        bool minus = *at == '-';
        enum unit unit;
        if (!minus && *at != '+')
            break;
        e->at++;
        struct quantity right = expression_term(e);
        if (e->failed || !expression_unify(e, at, minus ? "subtract" : "add", &result, &right, &unit))
            break;
        double number = minus ? result.number - right.number : result.number + right.number;
        result = expression_finite(e, at, (struct quantity){number, unit});
    }
    return result;
}

/* Whether `item` is in the list whose name stands here. */
static struct quantity expression_member(struct expression *e, struct quantity item)
{
    size_t length;
    expression_space(e);
    const struct binding *binding = expression_bound(e, &length);
    if (!binding || !binding->list)
        return FAIL(e, e->at, "expected the name of a list after 'in'; got %s", expression_here(e));
    e->at += length;
    bool found = false;
    for (uint32_t i = 0; i < binding->count; i++)
        found |= item.unit == UNIT_NONE && item.number == binding->list[i];
    return expression_number(found);
}

static struct quantity expression_comparison(struct expression *e)
{
    static const char *const operators[] = {"==", "!=", "<=", ">=", "<", ">"}; /* longer ones first */
    struct quantity left = expression_sum(e);
    size_t which = 0;
    expression_space(e);
    const char *at = e->at;
    if (!e->failed && expression_take(e, "in"))
        return expression_member(e, left);
    while (!e->failed && which < 6 && !expression_take(e, operators[which]))
        which++;
    if (e->failed || which == 6)
        return left;
    struct quantity right = expression_sum(e);
    enum unit unit;
    if (e->failed || !expression_unify(e, at, "compare", &left, &right, &unit))
        return left;
    double a = left.number, b = right.number;
    bool results[] = {a == b, a != b, a <= b, a >= b, a<b, a> b};
    return expression_number(results[which]);
}

static bool expression_truth(struct expression *e, const char *at, struct quantity quantity)
{
    if (quantity.unit != UNIT_NONE && !e->failed && !e->unused)
        FAIL(e, at, "expected a condition; got %s", unit_name(quantity.unit));
    return quantity.number != 0;
}

static struct quantity expression_not(struct expression *e)
{
    uint32_t negations = 0;
    while (expression_take(e, "not"))
        negations++;
    const char *at = e->at;
    struct quantity result = expression_comparison(e);
    if (!negations || e->failed)
        return result;
    return expression_number(expression_truth(e, at, result) == (negations % 2 == 0));
}

static struct quantity expression_and(struct expression *e)
{
    const char *at = e->at;
    struct quantity result = expression_not(e);
    while (!e->failed && expression_take(e, "and")) {
        bool left = expression_truth(e, at, result);
        at = e->at;
        e->unused += !left;
        struct quantity right = expression_not(e);
        bool truth = expression_truth(e, at, right);
        e->unused -= !left;
        result = expression_number(left && truth);
    }
    return result;
}

static struct quantity expression_or(struct expression *e)
{
    if (++e->depth > EXPRESSION_DEPTH)
        return FAIL(e, e->at, "parentheses nest deeper than %d", EXPRESSION_DEPTH);
    const char *at = e->at;
    struct quantity result = expression_and(e);
    while (!e->failed && expression_take(e, "or")) {
        bool left = expression_truth(e, at, result);
        at = e->at;
        e->unused += left;
        struct quantity right = expression_and(e);
        bool truth = expression_truth(e, at, right);
        e->unused -= left;
        result = expression_number(left || truth);
    }
    e->depth--;
    return result;
}

bool expression_evaluate(struct input *input, const char *text, struct place place, const struct scope *scope,
                         struct quantity *result)
{
    struct expression e = {.input = input, .scope = scope, .place = place, .text = text, .at = text};
    struct quantity quantity = expression_or(&e);
    expression_space(&e);
    if (!e.failed && *e.at)
        FAIL(&e, e.at, "expected an operator or the end; got %s", expression_here(&e));
    if (e.failed)
        return false;
    *result = quantity;
    return true;
}
