/* One recursive descent over the event stream. An anchor is listed when it opens, without its value until it
 * closes: an alias that meets it in between is a cycle. */
#include "input/read_yaml.h"

#include "base/vector.h"

#include <string.h>
#include <yaml.h>

enum { READ_YAML_VALUES = 1000000 };

struct read_yaml_anchor {
    const char *name;
    const struct value *value; /* NULL while it is being read */
};

struct read_yaml {
    struct input *input;
    const char *name;
    const char *text;
    size_t length;
    bool option; /* places have no line and column */
    yaml_parser_t parser;
    VECTOR(struct read_yaml_anchor) anchors; /* the latest of a name counts */
    uint32_t depth, copied;
};

static struct place read_yaml_place(const struct read_yaml *reader, yaml_mark_t mark)
{
    if (reader->option)
        return (struct place){.file = reader->name};
    return (struct place){reader->name, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* For bytes that are not UTF-8 libyaml knows only how many precede them. */
static struct place read_yaml_offset_place(const struct read_yaml *reader, size_t offset)
{
    struct place place = {reader->name, 1, 1};
    for (size_t i = 0; i < offset && i < reader->length; i++) {
        place.column += ((unsigned char)reader->text[i] & 0xc0) != 0x80;
        if (reader->text[i] == '\n')
            place = (struct place){reader->name, place.line + 1, 1};
    }
    return place;
}

/* Whether the character at a place is a tab. */
static bool read_yaml_tab(const struct read_yaml *reader, struct place place)
{
    size_t at = 0;
    for (uint32_t line = 1; line < place.line && at < reader->length; at++)
        line += reader->text[at] == '\n';
    for (uint32_t column = 1; column < place.column && at < reader->length;)
        column += ++at < reader->length && ((unsigned char)reader->text[at] & 0xc0) != 0x80;
    return place.line && at < reader->length && reader->text[at] == '\t';
}

static bool read_yaml_next(struct read_yaml *reader, yaml_event_t *event)
{
    yaml_parser_t *parser = &reader->parser;
    if (yaml_parser_parse(parser, event))
        return true;
    struct place place = read_yaml_place(reader, parser->problem_mark);
    if (parser->error == YAML_READER_ERROR && !reader->option)
        place = read_yaml_offset_place(reader, parser->problem_offset);
    const char *problem = parser->problem ? parser->problem : "not well formed";
    const char *context = parser->context ? parser->context : "", *gap = *context ? " " : "";
    struct place start = read_yaml_place(reader, parser->context_mark);
    if (read_yaml_tab(reader, place) && !strstr(problem, "tab"))
        return report_error(&reader->input->report, place, "found a tab where YAML wants spaces (%s%s%s)",
                            problem, gap, context);
    if (*context && start.line && start.line != place.line)
        return report_error(&reader->input->report, place, "%s %s that starts at line %u, column %u", problem,
                            context, start.line, start.column);
    return report_error(&reader->input->report, place, "%s%s%s", problem, gap, context);
}

/* Opens an anchor when the event has one; returns its index + 1, else 0. */
static uint32_t read_yaml_anchor(struct read_yaml *reader, const yaml_char_t *name)
{
    if (!name)
        return 0;
    const char *text = arena_text(&reader->input->arena, (const char *)name);
    VECTOR_PUSH(&reader->anchors, ((struct read_yaml_anchor){text, NULL}));
    return reader->anchors.count;
}

static void read_yaml_close(struct read_yaml *reader, uint32_t anchor, const struct value *value)
{
    if (anchor)
        reader->anchors.at[anchor - 1].value = value;
}

static uint32_t read_yaml_count(const struct value *value)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < value->count; i++)
        count += read_yaml_count(value->entries[i].value);
    return count;
}

/* How many lists and maps stand in one another. */
static uint32_t read_yaml_height(const struct value *value)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        uint32_t height = read_yaml_height(value->entries[i].value);
        most = height > most ? height : most;
    }
    return most + (value->kind == VALUE_LIST || value->kind == VALUE_MAP);
}

static bool read_yaml_too_deep(struct read_yaml *reader, struct place place)
{
    return report_error(&reader->input->report, place, "lists and maps nest deeper than %d", READ_DEPTH);
}

static struct value *read_yaml_alias(struct read_yaml *reader, const char *name, struct place place)
{
    struct report *report = &reader->input->report;
    uint32_t i = reader->anchors.count;
    while (i > 0 && strcmp(reader->anchors.at[i - 1].name, name) != 0)
        i--;
    if (i == 0) {
        report_error(report, place, "there is no anchor '%s' before this alias", name);
        return NULL;
    }
    const struct value *value = reader->anchors.at[i - 1].value;
    if (!value) {
        report_error(report, place, "the alias '%s' stands inside its own anchor", name);
        return NULL;
    }
    reader->copied += read_yaml_count(value);
    if (reader->copied > READ_YAML_VALUES) {
        report_error(report, place, "aliases expand to more than %d values", READ_YAML_VALUES);
        return NULL;
    }
    if (reader->depth + read_yaml_height(value) > READ_DEPTH) {
        read_yaml_too_deep(reader, place);
        return NULL;
    }
    return value_clone(&reader->input->arena, value);
}

static struct value *read_yaml_scalar(struct read_yaml *reader, const yaml_event_t *event, struct place place)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) {
        report_error(&reader->input->report, place, "a text cannot contain the character U+0000");
        return NULL;
    }
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!quoted && value_is_null_word(text))
        return value_new(&reader->input->arena, place, VALUE_NULL);
    return value_new_scalar(&reader->input->arena, place, text, quoted);
}

static struct value *read_yaml_value(struct read_yaml *reader, yaml_event_t *event);

/* Reads a key and its value from the key's event on. */
static bool read_yaml_entry(struct read_yaml *reader, struct value *map, yaml_event_t *event)
{
    struct report *report = &reader->input->report;
    struct place place = read_yaml_place(reader, event->start_mark);
    if (event->type != YAML_SCALAR_EVENT)
        return report_error(report, place, "expected a text as key");
    const char *key = (const char *)event->data.scalar.value;
    if (strlen(key) != event->data.scalar.length)
        return report_error(report, place, "a key cannot contain the character U+0000");
    if (!*key && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return report_error(report, place, "expected a key before ':'");
    key = arena_text(&reader->input->arena, key);
    uint32_t anchor = read_yaml_anchor(reader, event->data.scalar.anchor);
    if (anchor)
        read_yaml_close(reader, anchor, value_new_scalar(&reader->input->arena, place, key, false));
    const struct entry *earlier = value_entry(map, key);
    if (earlier && reader->option)
        return report_error(report, place, "duplicate key '%s'", key);
    if (earlier)
        return report_error(report, place, "duplicate key '%s'; it stands at line %u, column %u already", key,
                            earlier->place.line, earlier->place.column);
    yaml_event_t next;
    if (!read_yaml_next(reader, &next))
        return false;
    struct value *value = read_yaml_value(reader, &next);
    yaml_event_delete(&next);
    return value && value_put(&reader->input->arena, map, key, place, value);
}

static bool read_yaml_item(struct read_yaml *reader, struct value *list, yaml_event_t *event)
{
    struct value *value = read_yaml_value(reader, event);
    if (value)
        value_append(&reader->input->arena, list, value);
    return value != NULL;
}

/* Reads a list or map from the event after its start to its end. */
static bool read_yaml_entries(struct read_yaml *reader, struct value *into)
{
    bool map = into->kind == VALUE_MAP, going = true, well = true;
    if (++reader->depth > READ_DEPTH)
        return read_yaml_too_deep(reader, into->place);
    while (going && well) {
        yaml_event_t event;
        if (!read_yaml_next(reader, &event))
            return false;
        going = event.type != YAML_MAPPING_END_EVENT && event.type != YAML_SEQUENCE_END_EVENT;
        if (going)
            well = map ? read_yaml_entry(reader, into, &event) : read_yaml_item(reader, into, &event);
        yaml_event_delete(&event);
    }
    reader->depth--;
    return well;
}

static struct value *read_yaml_value(struct read_yaml *reader, yaml_event_t *event)
{
    struct place place = read_yaml_place(reader, event->start_mark);
    if (event->type == YAML_ALIAS_EVENT)
        return read_yaml_alias(reader, (const char *)event->data.alias.anchor, place);
    struct value *value;
    uint32_t anchor;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = read_yaml_anchor(reader, event->data.scalar.anchor);
        value = read_yaml_scalar(reader, event, place);
    } else {
        bool map = event->type == YAML_MAPPING_START_EVENT;
        anchor = read_yaml_anchor(reader,
                                  map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor);
        value = value_new(&reader->input->arena, place, map ? VALUE_MAP : VALUE_LIST);
        if (!read_yaml_entries(reader, value))
            return NULL;
    }
    read_yaml_close(reader, anchor, value);
    return value;
}

/* The stream's events up to the end of the first document, whose value is put into *root. */
static bool read_yaml_document(struct read_yaml *reader, struct value **root)
{
    for (bool ended = false; !ended;) {
        yaml_event_t event;
        if (!read_yaml_next(reader, &event))
            return false;
        bool well = true;
        ended = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && *root)
            well = report_error(&reader->input->report, read_yaml_place(reader, event.start_mark),
                                "expected one document; a second one starts here");
        else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT &&
                 event.type != YAML_DOCUMENT_END_EVENT && !ended)
            well = (*root = read_yaml_value(reader, &event)) != NULL;
        yaml_event_delete(&event);
        if (!well)
            return false;
    }
    if (!*root)
        *root = value_new(&reader->input->arena, (struct place){.file = reader->name}, VALUE_NULL);
    return true;
}

static struct value *read_yaml_root(struct read_yaml *reader)
{
    struct value *root = NULL;
    if (!yaml_parser_initialize(&reader->parser)) {
        report_error(&reader->input->report, (struct place){.file = reader->name}, "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)reader->text, reader->length);
    bool well = read_yaml_document(reader, &root);
    yaml_parser_delete(&reader->parser);
    VECTOR_FREE(&reader->anchors);
    return well ? root : NULL;
}

struct value *read_yaml_text(struct input *input, const char *name, const char *text, size_t length)
{
    return read_yaml_root(&(struct read_yaml){.input = input, .name = name, .text = text, .length = length});
}

struct value *read_yaml_option(struct input *input, const char *name, const char *text)
{
    return read_yaml_root(&(struct read_yaml){
        .input = input, .name = name, .text = text, .length = strlen(text), .option = true});
}
