#include "input/read_distribution.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct read_distribution_map {
    const char *name, *file, *unit;
    double parameter[DISTRIBUTION_PARAMETERS];
    const struct value *values;
};

#define AT(member) offsetof(struct read_distribution_map, member)
enum { READ_DISTRIBUTION_FIELDS = 6 };

/* The keys of a kind. Returns how many. */
static size_t kind_fields(const struct distribution_kind *kind, enum unit unit, struct field *fields)
{
    size_t count = 0;
    fields[count++] =
        (struct field){.key = "distribution", .kind = FIELD_TEXT, .offset = AT(name), .required = true};
    for (int i = 0; i < DISTRIBUTION_PARAMETERS && kind->parameters[i].name; i++) {
        const struct distribution_parameter *parameter = &kind->parameters[i];
        bool quantity = parameter->quantity && unit != UNIT_NONE;
        fields[count++] = (struct field){.key = parameter->name,
                                         .kind = quantity ? FIELD_QUANTITY : FIELD_NUMBER,
                                         .unit = quantity ? unit : UNIT_NONE,
                                         .offset = AT(parameter) + (size_t)i * sizeof(double),
                                         .required = true,
                                         .about = parameter->about};
    }
    if (kind != &distribution_empirical)
        return count;
    fields[count++] = (struct field){.key = "file", .kind = FIELD_TEXT, .offset = AT(file)};
    fields[count++] = (struct field){.key = "unit", .kind = FIELD_TEXT, .offset = AT(unit)};
    fields[count++] = (struct field){.key = "values", .kind = FIELD_VALUE, .offset = AT(values)};
    return count;
}

static bool read_values(struct input *input, const struct value *list, enum unit unit,
                        const struct scope *scope, struct distribution *out)
{
    const struct field field = {.key = "values",
                                .kind = unit == UNIT_NONE ? FIELD_NUMBER : FIELD_QUANTITY,
                                .unit = unit,
                                .low = -1e300,
                                .high = 1e300};
    if (!fields_want_list(input, list, list->place, "the values of an empirical distribution"))
        return false;
    if (!list->count)
        return report_error(&input->report, list->place, "an empirical distribution needs values; got none");
    double *values = ARENA_ARRAY(&input->arena, double, list->count);
    bool good = true;
    for (uint32_t i = 0; i < list->count; i++)
        good = fields_read_one(input, list->entries[i].value, &field, scope, &values[i]) && good;
    out->values = values;
    out->count = list->count;
    return good;
}

/* Numbers of the first column, in units of `scale`. */
static bool read_column(struct input *input, const char *path, double scale, struct distribution *out)
{
    size_t length;
    char *at = document_bytes(input, path, (struct place){NULL, 0, 0}, &length);
    VECTOR(double) found = {0};
    bool good = at != NULL;
    for (uint32_t line = 1; good && *at; line++) {
        char *end, *next = at + strcspn(at, "\n");
        double number = strtod(at, &end);
        bool empty = at + strspn(at, " \t\r") == next;
        bool is_number = !empty && end != at && isfinite(number);
        is_number = is_number && (end[strspn(end, " \t\r")] == ',' || end + strspn(end, " \t\r") == next);
        if (is_number)
            VECTOR_PUSH(&found, number * scale);
        else if (!empty && line > 1)
            good = report_error(&input->report, (struct place){path, line, 1},
                                "expected a number in the first column; got '%.*s'",
                                (int)strcspn(at, ",\r\n"), at);
        at = *next ? next + 1 : next;
    }
    if (good && !found.count)
        good = report_error(&input->report, (struct place){path, 1, 1},
                            "an empirical distribution needs values; this file has none");
    out->values = arena_copy(&input->arena, found.at, found.count * sizeof *found.at);
    out->count = found.count;
    VECTOR_FREE(&found);
    return good;
}

static bool read_empirical(struct input *input, const struct value *map, enum unit unit,
                           const struct scope *scope, const struct read_distribution_map *read,
                           struct distribution *out)
{
    enum unit given;
    double scale = 1;
    if (!read->values == !read->file)
        return report_error(&input->report, map->place,
                            "an empirical distribution has either `values` or a `file`");
    if (read->values)
        return read_values(input, read->values, unit, scope, out);
    struct place place = value_get(map, "file")->place;
    bool fits =
        unit == UNIT_NONE
            ? !read->unit
            : read->unit && unit_parse(read->unit, &given, &scale) == strlen(read->unit) && given == unit;
    if (!fits)
        return report_error(&input->report, read->unit ? value_get(map, "unit")->place : place,
                            unit == UNIT_NONE ? "these values are factors: they have no unit"
                                              : "the numbers of a file need their `unit`: %s",
                            unit_expected(unit));
    const char *path = document_find(input, "workloads", read->file, place);
    return path && read_column(input, path, scale, out);
}

static bool unknown_kind(struct input *input, const struct value *name)
{
    const char *known[32];
    size_t count = 0;
    while (distribution_kinds[count]) {
        known[count] = distribution_kinds[count]->name;
        count++;
    }
    return fields_no_such(input, name->place, "distribution", name->text, known, count);
}

static bool read_positive(struct input *input, const struct value *map, const struct distribution_kind *kind,
                          const double *values)
{
    bool good = true;
    for (int i = 0; i < DISTRIBUTION_PARAMETERS && kind->parameters[i].name; i++)
        if (kind->parameters[i].positive && !(values[i] > 0))
            good = report_error(&input->report, value_get(map, kind->parameters[i].name)->place,
                                "expected %s more than 0; got %g", kind->parameters[i].name, values[i]);
    return good;
}

static bool read_map(struct input *input, const struct value *map, const char *what, enum unit unit,
                     const struct scope *scope, struct distribution *out)
{
    const struct value *name = value_get(map, "distribution");
    if (!name || name->kind != VALUE_SCALAR)
        return report_error(&input->report, name ? name->place : map->place,
                            "expected `distribution: NAME` in %s", what);
    const struct distribution_kind *kind = distribution_find(name->text);
    if (!kind)
        return unknown_kind(input, name);
    struct field fields[READ_DISTRIBUTION_FIELDS];
    struct read_distribution_map read = {0};
    size_t count = kind_fields(kind, unit, fields);
    const char *title = arena_format(&input->arena, "%s (%s)", what, kind->name);
    *out = (struct distribution){.kind = kind};
    if (!fields_read(input, map, map->place, title, fields, count, scope, &read))
        return false;
    memcpy(out->parameter, read.parameter, sizeof out->parameter);
    if (!read_positive(input, map, kind, out->parameter))
        return false;
    if (kind == &distribution_empirical)
        return read_empirical(input, map, unit, scope, &read, out);
    if (kind->ordered && out->parameter[1] < out->parameter[0])
        return report_error(&input->report, value_get(map, kind->parameters[1].name)->place,
                            "`%s` is below `%s`", kind->parameters[1].name, kind->parameters[0].name);
    return true;
}

bool read_distribution(struct input *input, const struct value *value, const char *what, enum unit unit,
                       const struct scope *scope, struct distribution *out)
{
    const struct field plain = {.key = what,
                                .kind = unit == UNIT_NONE ? FIELD_NUMBER : FIELD_QUANTITY,
                                .unit = unit,
                                .low = -1e300,
                                .high = 1e300};
    if (value && value->kind == VALUE_MAP)
        return read_map(input, value, what, unit, scope, out);
    *out = distribution_fixed(0);
    return fields_read_one(input, value, &plain, scope, &out->parameter[0]);
}
