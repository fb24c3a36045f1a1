#include "platform/import.h"

#include "base/unit.h"
#include "platform/array.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const struct importer *const import_formats[] = {&import_simgrid, &import_nvidia, &import_astra, NULL};

const struct importer *import_format(const char *path, const struct value *document)
{
    for (size_t i = 0; import_formats[i]; i++) {
        const struct importer *format = import_formats[i];
        if (format->is_file ? format->is_file(path) : document && format->is_document(document))
            return format;
    }
    return NULL;
}

struct value *import_load(struct input *input, const char *path, const struct value *set)
{
    const struct importer *format = import_format(path, NULL);
    if (format) {
        size_t length;
        const char *text = document_bytes(input, path, (struct place){0}, &length);
        return text ? format->read(input, arena_text(&input->arena, path), text, length, set) : NULL;
    }
    struct value *document = document_load(input, path);
    format = document ? import_format(path, document) : NULL;
    return format ? format->convert(input, document, set) : document;
}

struct value *import_map(struct input *input, struct value *map, const char *key, struct place place)
{
    struct value *made = value_new(&input->arena, place, VALUE_MAP);
    value_put(&input->arena, map, arena_text(&input->arena, key), place, made);
    return made;
}

static void import_scalar(struct input *input, struct value *map, const char *key, struct place place,
                          const char *text, bool quoted)
{
    value_put(&input->arena, map, arena_text(&input->arena, key), place,
              value_new_scalar(&input->arena, place, text, quoted));
}

void import_text(struct input *input, struct value *map, const char *key, struct place place,
                 const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    import_scalar(input, map, key, place, arena_vformat(&input->arena, format, arguments), false);
    va_end(arguments);
}

void import_quoted(struct input *input, struct value *map, const char *key, struct place place,
                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    import_scalar(input, map, key, place, arena_vformat(&input->arena, format, arguments), true);
    va_end(arguments);
}

/* With the largest of the units (largest first) in which the number is at least 1 and reads back exactly. */
static const char *import_quantity(struct input *input, double value, const char *const *units, size_t count)
{
    for (size_t i = 0; i < count && value > 0; i++) {
        enum unit unit;
        double scale = 1;
        unit_parse(units[i], &unit, &scale);
        const char *text = arena_format(&input->arena, "%.15g", value / scale);
        if (value / scale >= 1 && !strchr(text, 'e') && strtod(text, NULL) * scale == value)
            return arena_format(&input->arena, "%s %s", text, units[i]);
    }
    return arena_format(&input->arena, "%.17g %s", value, units[count - 1]);
}

const char *import_bandwidth(struct input *input, double bytes_per_second)
{
    static const char *const units[] = {"GB/s", "MB/s", "KB/s", "B/s"};
    return import_quantity(input, bytes_per_second, units, sizeof units / sizeof units[0]);
}

const char *import_seconds(struct input *input, double seconds)
{
    static const char *const units[] = {"ms", "us", "ns", "s"};
    return import_quantity(input, seconds, units, sizeof units / sizeof units[0]);
}

const char *import_flops(struct input *input, double flops)
{
    static const char *const units[] = {"TFLOP/s", "GFLOP/s", "MFLOP/s", "FLOP/s"};
    return import_quantity(input, flops, units, sizeof units / sizeof units[0]);
}

char *import_name(struct input *input, const char *prefix, const char *text)
{
    char *name = arena_format(&input->arena, "%s%s", isalpha((unsigned char)*text) ? "" : prefix, text);
    if (strlen(name) > ARRAY_NAME - 4)
        name[ARRAY_NAME - 4] = '\0';
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-')
            *c = '_';
    return name;
}
