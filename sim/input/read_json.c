/* jansson checks the whole text, finds where it is not well formed, and decodes escapes; but it does not keep
 * places. So a second walk over the text, which may rely on it being valid, builds the values and counts
 * lines and columns. */
#include "input/read_json.h"

#include "input/read_yaml.h"

#include <jansson.h>
#include <string.h>

struct read_json {
    struct input *input;
    const char *at;     /* the next byte; the text ends with a NUL */
    struct place place; /* of `at`; columns count characters */
    uint32_t depth;
};

static void read_json_skip(struct read_json *reader, size_t bytes)
{
    for (; bytes > 0; bytes--, reader->at++) {
        reader->place.column += ((unsigned char)*reader->at & 0xc0) != 0x80;
        if (*reader->at == '\n') {
            reader->place.line++;
            reader->place.column = 1;
        }
    }
}

static void read_json_space(struct read_json *reader)
{
    read_json_skip(reader, strspn(reader->at, " \t\r\n"));
}

/* The bytes of the string that starts here, with its quotes. */
static size_t read_json_string_length(const char *at)
{
    size_t length = 1;
    while (at[length] != '"')
        length += at[length] == '\\' ? 2 : 1;
    return length + 1;
}

static const char *read_json_string(struct read_json *reader)
{
    struct arena *arena = &reader->input->arena;
    size_t length = read_json_string_length(reader->at);
    char *text;
    if (memchr(reader->at, '\\', length)) {
        json_t *decoded = json_loadb(reader->at, length, JSON_DECODE_ANY, NULL);
        text = arena_text(arena, json_string_value(decoded));
        json_decref(decoded);
    } else {
        text = arena_copy(arena, reader->at + 1, length - 1);
        text[length - 2] = '\0';
    }
    read_json_skip(reader, length);
    return text;
}

static struct value *read_json_value(struct read_json *reader);

static bool read_json_entry(struct read_json *reader, struct value *into)
{
    struct arena *arena = &reader->input->arena;
    struct place place = reader->place;
    const char *key = NULL;
    if (into->kind == VALUE_MAP) {
        key = read_json_string(reader);
        const struct entry *earlier = value_entry(into, key);
        if (earlier)
            return report_error(&reader->input->report, place,
                                "duplicate key '%s'; it stands at line %u, column %u already", key,
                                earlier->place.line, earlier->place.column);
        read_json_space(reader);
        read_json_skip(reader, 1); /* the colon */
    }
    struct value *value = read_json_value(reader);
    if (!value)
        return false;
    if (key)
        return value_put(arena, into, key, place, value);
    value_append(arena, into, value);
    return true;
}

static struct value *read_json_entries(struct read_json *reader, enum value_kind kind)
{
    struct value *into = value_new(&reader->input->arena, reader->place, kind);
    if (++reader->depth > READ_DEPTH) {
        report_error(&reader->input->report, into->place, "lists and maps nest deeper than %d", READ_DEPTH);
        return NULL;
    }
    read_json_skip(reader, 1);
    read_json_space(reader);
    while (*reader->at != ']' && *reader->at != '}') {
        if (!read_json_entry(reader, into))
            return NULL;
        if (*reader->at == ',')
            read_json_skip(reader, 1);
        read_json_space(reader);
    }
    read_json_skip(reader, 1);
    reader->depth--;
    return into;
}

static struct value *read_json_word(struct read_json *reader)
{
    struct arena *arena = &reader->input->arena;
    struct place place = reader->place;
    size_t length = strcspn(reader->at, ",]} \t\r\n");
    char *text = arena_copy(arena, reader->at, length + 1);
    text[length] = '\0';
    read_json_skip(reader, length);
    return strcmp(text, "null") == 0 ? value_new(arena, place, VALUE_NULL)
                                     : value_new_scalar(arena, place, text, false);
}

/* One value with the white space on both sides of it. */
static struct value *read_json_value(struct read_json *reader)
{
    struct value *value;
    read_json_space(reader);
    struct place place = reader->place;
    switch (*reader->at) {
    case '{':
        value = read_json_entries(reader, VALUE_MAP);
        break;
    case '[':
        value = read_json_entries(reader, VALUE_LIST);
        break;
    case '"':
        value = value_new_scalar(&reader->input->arena, place, read_json_string(reader), true);
        break;
    default:
        value = read_json_word(reader);
    }
    read_json_space(reader);
    return value;
}

struct value *read_json_text(struct input *input, const char *name, const char *text, size_t length)
{
    struct read_json reader = {.input = input, .place = {name, 1, 1}};
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        length -= 3;
    }
    char *copy = arena_alloc(&input->arena, length + 1);
    if (length)
        memcpy(copy, text, length);
    reader.at = copy;
    if (strspn(copy, " \t\r\n") == length)
        return value_new(&input->arena, (struct place){.file = name}, VALUE_NULL);
    if (memchr(copy, '\0', length)) { /* jansson takes one after a number for white space */
        read_json_skip(&reader, strlen(copy));
        report_error(&input->report, reader.place, "a text cannot contain the character U+0000");
        return NULL;
    }
    json_error_t error;
    json_t *valid = json_loadb(copy, length, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    if (!valid) {
        uint32_t line = error.line > 0 ? (uint32_t)error.line : 1;
        uint32_t column = error.column > 0 ? (uint32_t)error.column : 1;
        report_error(&input->report, (struct place){name, line, column}, "%s",
                     json_error_code(&error) == json_error_null_character
                         ? "a text cannot contain the character U+0000"
                         : error.text);
        return NULL;
    }
    json_decref(valid);
    return read_json_value(&reader);
}
