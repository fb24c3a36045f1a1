/* Each kind of field is one row of a table: how it is read, and what a message says was expected. */
#include "input/fields.h"

#include "base/nearest.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *fields_expected(struct input *input, const struct field *field);

struct fields_reading {
    struct input *input;
    const struct value *value;
    const struct field *field;
    const struct scope *scope;
    void *target;
};

static const char *fields_got(const struct fields_reading *r)
{
    return value_describe(r->value, &r->input->arena);
}

/* Of the first character inside quotes, so that columns of expressions are right. */
static struct place fields_text_place(const struct value *value)
{
    struct place place = value->place;
    if (place.line && value->quoted)
        place.column++;
    return place;
}

static const char *fields_list_names(struct arena *arena, const char *const *names, size_t count)
{
    const char *list = "";
    for (size_t i = 0; i < count; i++)
        if (names[i])
            list = arena_format(arena, "%s%s%s", list, *list ? ", " : "", names[i]);
    return list;
}

static const char *fields_hint(struct arena *arena, const char *near)
{
    return near ? arena_format(arena, "; did you mean '%s'?", near) : "";
}

/* The text that a scalar means: a name bound to a text stands for that text. */
static const char *fields_text(const struct fields_reading *r)
{
    const struct binding *binding = scope_find(r->scope, r->value->text);
    return binding && binding->text ? binding->text : r->value->text;
}

static bool fields_read_text(const struct fields_reading *r)
{
    *(const char **)r->target = fields_text(r);
    return true;
}

static bool fields_read_value(const struct fields_reading *r)
{
    *(const struct value **)r->target = r->value;
    return true;
}

static bool fields_read_choice(const struct fields_reading *r)
{
    const char *text = fields_text(r), *const *choices = r->field->choices;
    int count = 0;
    for (; choices[count]; count++)
        if (strcmp(choices[count], text) == 0) {
            *(int *)r->target = count;
            return true;
        }
    struct arena *arena = &r->input->arena;
    return report_error(&r->input->report, r->value->place, "expected one of %s; got '%s'%s",
                        fields_list_names(arena, choices, (size_t)count), text,
                        fields_hint(arena, nearest_name(text, choices, (size_t)count)));
}

/* A single word that the scope does not bind: a mistyped constant rather than an expression. */
static bool fields_is_unbound_word(const struct fields_reading *r)
{
    const char *text = r->value->text;
    if (!isalpha((unsigned char)*text) || scope_find(r->scope, text))
        return false;
    while (isalnum((unsigned char)*text) || *text == '_')
        text++;
    return !*text;
}

static bool fields_read_flag(const struct fields_reading *r)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    const char *text = r->value->text;
    for (size_t i = 0; i < 6; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *(bool *)r->target = i % 2 == 1;
            return true;
        }
    struct report *report = &r->input->report;
    struct quantity quantity;
    if (!*text || fields_is_unbound_word(r))
        return report_error(report, r->value->place, "expected yes or no; got %s%s", fields_got(r),
                            fields_hint(&r->input->arena, nearest_name(text, words, 6)));
    if (!expression_evaluate(r->input, text, fields_text_place(r->value), r->scope, &quantity))
        return false;
    if (quantity.unit != UNIT_NONE || (quantity.number != 0 && quantity.number != 1))
        return report_error(report, r->value->place, "expected yes or no; got '%s'", text);
    *(bool *)r->target = quantity.number == 1;
    return true;
}

static const char *fields_number(const struct fields_reading *r, double number)
{
    char buffer[64];
    if (r->field->kind == FIELD_QUANTITY && r->field->unit != UNIT_NONE)
        return arena_text(&r->input->arena, unit_format(number, r->field->unit, buffer, sizeof buffer));
    return arena_format(&r->input->arena, "%.15g", number);
}

static bool fields_in_range(const struct fields_reading *r, double number)
{
    double low = r->field->low, high = r->field->high;
    if ((low == 0 && high == 0) || (number >= low && number <= high))
        return true;
    const char *least = fields_number(r, low), *most = fields_number(r, high);
    const char *range = high == INFINITY   ? arena_format(&r->input->arena, "at least %s", least)
                        : low == -INFINITY ? arena_format(&r->input->arena, "at most %s", most)
                                           : arena_format(&r->input->arena, "between %s and %s", least, most);
    const char *got = fields_number(r, number);
    return report_error(&r->input->report, r->value->place, "expected %s %s; got %s", r->field->key, range,
                        got);
}

/* The number that the expression gives, in the unit wanted and in range. */
static bool fields_read_expression(const struct fields_reading *r, enum unit unit, double *number)
{
    const char *text = r->value->text;
    struct quantity quantity;
    struct report *report = &r->input->report;
    if (!*text)
        return report_error(report, r->value->place, "expected %s; got an empty text", unit_expected(unit));
    if (!r->scope && fields_is_unbound_word(r))
        return report_error(report, r->value->place, "expected %s; got %s",
                            fields_expected(r->input, r->field), fields_got(r));
    if (!expression_evaluate(r->input, text, fields_text_place(r->value), r->scope, &quantity))
        return false;
    if (quantity.unit == UNIT_NONE && unit != UNIT_NONE && quantity.number != 0)
        return report_error(report, r->value->place, "expected %s; got '%s'", unit_expected(unit), text);
    if (quantity.unit != unit && quantity.unit != UNIT_NONE)
        return report_error(report, r->value->place, "expected %s; '%s' is %s", unit_expected(unit), text,
                            unit_name(quantity.unit));
    *number = quantity.number;
    return fields_in_range(r, *number);
}

static bool fields_read_number(const struct fields_reading *r)
{
    double number = 0;
    if (!fields_read_expression(r, UNIT_NONE, &number))
        return false;
    *(double *)r->target = number;
    return true;
}

/* A share of the value that the target has had so far, or a quantity after all ("rate * (n % 2)"). */
static bool fields_read_share(const struct fields_reading *r)
{
    double so_far = *(const double *)r->target;
    struct quantity share;
    if (!expression_evaluate(r->input, r->value->text, fields_text_place(r->value), r->scope, &share))
        return false;
    if (share.unit == r->field->unit) {
        *(double *)r->target = share.number;
        return fields_in_range(r, share.number);
    }
    if (share.unit != UNIT_NONE)
        return report_error(&r->input->report, r->value->place, "expected %s; '%s' is %s",
                            unit_expected(r->field->unit), r->value->text, unit_name(share.unit));
    if (isnan(so_far))
        return report_error(&r->input->report, r->value->place,
                            "expected %s; '%s' needs a value, such as the type's, to be a share of",
                            unit_expected(r->field->unit), r->value->text);
    if (!fields_in_range(r, so_far * share.number))
        return false;
    *(double *)r->target = so_far * share.number;
    return true;
}

static bool fields_read_quantity(const struct fields_reading *r)
{
    double number = 0;
    if (r->field->relative && strchr(r->value->text, '%'))
        return fields_read_share(r);
    if (!fields_read_expression(r, r->field->unit, &number))
        return false;
    *(double *)r->target = number;
    return true;
}

static bool fields_read_integer(const struct fields_reading *r)
{
    double number = 0;
    if (!fields_read_expression(r, UNIT_NONE, &number))
        return false;
    if (number != floor(number))
        return report_error(&r->input->report, r->value->place, "expected a whole number; got %.15g", number);
    if (fabs(number) > 0x1p53)
        return report_error(&r->input->report, r->value->place,
                            "expected a whole number up to 2^53; got %.15g", number);
    *(int64_t *)r->target = (int64_t)number;
    return true;
}

static const struct {
    bool (*read)(const struct fields_reading *reading);
    const char *expected; /* NULL: what unit_expected() says, or any value */
} fields_kinds[] = {
    [FIELD_TEXT] = {fields_read_text, "a text"},
    [FIELD_FLAG] = {fields_read_flag, "yes or no"},
    [FIELD_INTEGER] = {fields_read_integer, "a whole number"},
    [FIELD_NUMBER] = {fields_read_number, "a number"},
    [FIELD_QUANTITY] = {fields_read_quantity, NULL},
    [FIELD_CHOICE] = {fields_read_choice, NULL},
    [FIELD_VALUE] = {fields_read_value, NULL},
};

static const char *fields_expected(struct input *input, const struct field *field)
{
    size_t count = 0;
    if (field->kind == FIELD_QUANTITY)
        return unit_expected(field->unit);
    if (field->kind != FIELD_CHOICE)
        return fields_kinds[field->kind].expected;
    while (field->choices[count])
        count++;
    return arena_format(&input->arena, "one of %s", fields_list_names(&input->arena, field->choices, count));
}

bool fields_read_one(struct input *input, const struct value *value, const struct field *field,
                     const struct scope *scope, void *target)
{
    const struct fields_reading reading = {input, value, field, scope, target};
    if (field->kind != FIELD_VALUE && value->kind != VALUE_SCALAR)
        return report_error(&input->report, value->place, "expected %s for '%s'; got %s",
                            fields_expected(input, field), field->key, fields_got(&reading));
    return fields_kinds[field->kind].read(&reading);
}

static bool fields_missing(struct input *input, struct place place, const char *what,
                           const struct field *field)
{
    const char *expected = fields_expected(input, field);
    return report_error(&input->report, place, "missing key '%s' in %s%s%s", field->key, what,
                        expected ? "; expected " : "", expected ? expected : "");
}

static bool fields_known(struct input *input, const struct entry *entry, const char *what,
                         const struct field *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].key, entry->key) == 0)
            return true;
    const char **names = ARENA_ARRAY(&input->arena, const char *, count);
    for (size_t i = 0; i < count; i++)
        names[i] = table[i].key;
    return fields_unknown(input, entry, what, names, count);
}

/* Whether an unknown key of the map, reported already, can only have meant this field. */
static bool fields_misspelt(const struct value *map, const struct field *table, size_t count,
                            const struct field *field)
{
    for (uint32_t i = 0; map && i < map->count; i++) {
        bool known = false;
        for (size_t k = 0; k < count; k++)
            known = known || strcmp(table[k].key, map->entries[i].key) == 0;
        if (!known && nearest_name(map->entries[i].key, &field->key, 1))
            return true;
    }
    return false;
}

bool fields_read(struct input *input, const struct value *map, struct place where, const char *what,
                 const struct field *table, size_t count, const struct scope *scope, void *target)
{
    bool well = true;
    if (map && !fields_want_map(input, map, where, what))
        return false;
    for (uint32_t i = 0; map && i < map->count; i++)
        well = fields_known(input, &map->entries[i], what, table, count) && well;
    for (size_t i = 0; i < count; i++) {
        const struct value *value = value_get(map, table[i].key);
        if (value)
            well = fields_read_one(input, value, &table[i], scope, (char *)target + table[i].offset) && well;
        else if (table[i].required && !fields_misspelt(map, table, count, &table[i]))
            well = fields_missing(input, map && map->place.file ? map->place : where, what, &table[i]);
    }
    return well;
}

static bool fields_want(struct input *input, const struct value *value, struct place where, const char *what,
                        enum value_kind kind, const char *expected)
{
    if (value && value->kind == kind)
        return true;
    return report_error(&input->report, value ? value->place : where, "expected %s for %s; got %s", expected,
                        what, value_describe(value, &input->arena));
}

bool fields_want_map(struct input *input, const struct value *value, struct place where, const char *what)
{
    return fields_want(input, value, where, what, VALUE_MAP, "a map");
}

bool fields_want_list(struct input *input, const struct value *value, struct place where, const char *what)
{
    return fields_want(input, value, where, what, VALUE_LIST, "a list");
}

/* What follows a name that is not known: the nearest, or else all of them when they are few. */
static const char *fields_instead(struct input *input, const char *name, const char *const *known,
                                  size_t count)
{
    const char *near = nearest_name(name, known, count);
    if (near || count == 0 || count > 12)
        return fields_hint(&input->arena, near);
    return arena_format(&input->arena, "; expected one of %s",
                        fields_list_names(&input->arena, known, count));
}

bool fields_unknown(struct input *input, const struct entry *entry, const char *what,
                    const char *const *known, size_t count)
{
    return report_error(&input->report, entry->place, "unknown key '%s' in %s%s", entry->key, what,
                        fields_instead(input, entry->key, known, count));
}

bool fields_no_such(struct input *input, struct place place, const char *what, const char *name,
                    const char *const *known, size_t count)
{
    return report_error(&input->report, place, "there is no %s '%s'%s", what, name,
                        fields_instead(input, name, known, count));
}
