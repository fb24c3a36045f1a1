/* Value: entries are an array that doubles. A map's array is followed, in the same allocation, by a hash
 * table of `2 * room` slots (entry index + 1), so that a key is found in O(1) however large the map is. Keys
 * never change once they are put. */
#include "input/value.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct value *value_new(struct arena *arena, struct place place, enum value_kind kind)
{
    struct value *value = ARENA_NEW(arena, struct value);
    value->kind = kind;
    value->place = place;
    return value;
}

struct value *value_new_scalar(struct arena *arena, struct place place, const char *text, bool quoted)
{
    struct value *value = value_new(arena, place, VALUE_SCALAR);
    value->text = arena_text(arena, text);
    value->quoted = quoted;
    return value;
}

static uint32_t *value_slots(const struct value *map)
{
    return (uint32_t *)(void *)(map->entries + map->room);
}

/* The slot that holds `key`, or the empty slot where it belongs. Needs room > 0. */
static uint32_t *value_slot(const struct value *map, const char *key)
{
    uint32_t hash = 2166136261u, mask = map->room * 2 - 1; /* FNV-1a; room is a power of two */
    for (const char *at = key; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    uint32_t *slots = value_slots(map), slot = hash & mask;
    while (slots[slot] && strcmp(map->entries[slots[slot] - 1].key, key) != 0)
        slot = (slot + 1) & mask;
    return &slots[slot];
}

static void value_grow(struct arena *arena, struct value *value)
{
    bool map = value->kind == VALUE_MAP;
    const struct entry *old = value->entries;
    value->room = value->room ? value->room * 2 : 4;
    value->entries = arena_array(arena, value->room, sizeof *old + (map ? 2 * sizeof(uint32_t) : 0));
    if (value->count)
        memcpy(value->entries, old, value->count * sizeof *old);
    for (uint32_t i = 0; map && i < value->count; i++)
        *value_slot(value, value->entries[i].key) = i + 1;
}

void value_append(struct arena *arena, struct value *list, struct value *item)
{
    assert(list->kind == VALUE_LIST);
    if (list->count == list->room)
        value_grow(arena, list);
    list->entries[list->count++] = (struct entry){.place = item->place, .value = item};
}

bool value_put(struct arena *arena, struct value *map, const char *key, struct place key_place,
               struct value *item)
{
    assert(map->kind == VALUE_MAP);
    if (map->count == map->room)
        value_grow(arena, map);
    uint32_t *slot = value_slot(map, key);
    if (*slot)
        return false;
    map->entries[map->count++] = (struct entry){arena_text(arena, key), key_place, item};
    *slot = map->count;
    return true;
}

struct entry *value_entry(const struct value *map, const char *key)
{
    if (!map || map->kind != VALUE_MAP || !map->room)
        return NULL;
    uint32_t found = *value_slot(map, key);
    return found ? &map->entries[found - 1] : NULL;
}

struct value *value_get(const struct value *map, const char *key)
{
    struct entry *entry = value_entry(map, key);
    return entry ? entry->value : NULL;
}

struct value *value_clone(struct arena *arena, const struct value *value)
{
    struct value *copy = ARENA_NEW(arena, struct value);
    *copy = *value;
    copy->entries = NULL;
    copy->count = copy->room = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        const struct entry *entry = &value->entries[i];
        struct value *item = value_clone(arena, entry->value);
        if (value->kind == VALUE_MAP)
            value_put(arena, copy, entry->key, entry->place, item);
        else
            value_append(arena, copy, item);
    }
    return copy;
}

/* The value under the first `length` characters of a path. The longest key wins, so that a key with a dot or
 * a bracket of its own is found as well. */
static struct value *value_under(const struct value *value, const char *path, struct arena *scratch)
{
    if (*path == '[' && value->kind == VALUE_LIST) {
        char *end;
        unsigned long index = strtoul(path + 1, &end, 10);
        if (end == path + 1 || *end != ']' || index >= value->count)
            return NULL;
        struct value *item = value->entries[index].value;
        end++;
        return !*end ? item : value_under(item, end + (*end == '.'), scratch);
    }
    for (size_t length = strlen(path); length > 0; length--) {
        if (path[length] && path[length] != '.' && path[length] != '[')
            continue;
        char *key = arena_copy(scratch, path, length + 1);
        key[length] = '\0';
        struct value *item = value_get(value, key);
        if (!item)
            continue;
        if (path[length])
            item = value_under(item, path + length + (path[length] == '.'), scratch);
        if (item)
            return item;
    }
    return NULL;
}

struct value *value_at(const struct value *root, const char *path)
{
    if (!root)
        return NULL;
    struct arena scratch;
    arena_init(&scratch);
    struct value *found = value_under(root, path, &scratch);
    arena_fini(&scratch);
    return found;
}

const char *value_describe(const struct value *value, struct arena *arena)
{
    if (!value || value->kind == VALUE_NULL)
        return "nothing";
    if (value->kind != VALUE_SCALAR)
        return value->kind == VALUE_MAP ? "a map" : "a list";
    return *value->text ? arena_format(arena, "the text '%s'", value->text) : "an empty text";
}

struct value_text {
    struct arena *arena;
    char *bytes;
    size_t count, room;
};

static int value_collect(void *to, unsigned char *bytes, size_t count)
{
    struct value_text *text = to;
    if (text->count + count + 1 > text->room) {
        text->room = (text->count + count + 1) * 2;
        char *grown = arena_alloc(text->arena, text->room);
        if (text->count)
            memcpy(grown, text->bytes, text->count);
        text->bytes = grown;
    }
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
    text->bytes[text->count] = '\0';
    return 1;
}

/* A list or map on one line: only scalars, and not many characters. */
static bool value_is_short(const struct value *value)
{
    size_t length = 0;
    for (uint32_t i = 0; i < value->count && length <= 72; i++) {
        const struct entry *entry = &value->entries[i];
        if (entry->value->kind == VALUE_LIST || entry->value->kind == VALUE_MAP)
            return false;
        length += 2 + (entry->key ? strlen(entry->key) + 2 : 0);
        length += entry->value->text ? strlen(entry->value->text) : 4;
    }
    return length <= 72;
}

bool value_is_null_word(const char *text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* Texts are valid UTF-8 by construction (the readers check it), so that emitting cannot fail. */
static void value_emit(yaml_emitter_t *emitter, yaml_event_t *event)
{
    int emitted = yaml_emitter_emit(emitter, event);
    assert(emitted);
    (void)emitted;
}

static void value_emit_text(yaml_emitter_t *emitter, const char *text, bool quoted)
{
    yaml_event_t event;
    int made =
        yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), 1, 1,
                                     quoted ? YAML_SINGLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);
    assert(made);
    (void)made;
    value_emit(emitter, &event);
}

static void value_emit_tree(yaml_emitter_t *emitter, const struct value *value)
{
    yaml_event_t event;
    bool map = value->kind == VALUE_MAP;
    if (value->kind == VALUE_NULL) {
        value_emit_text(emitter, "~", false);
        return;
    }
    if (value->kind == VALUE_SCALAR) {
        value_emit_text(emitter, value->text, value->quoted || value_is_null_word(value->text));
        return;
    }
    if (map)
        yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                            value_is_short(value) ? YAML_FLOW_MAPPING_STYLE
                                                                  : YAML_BLOCK_MAPPING_STYLE);
    else
        yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                             value_is_short(value) ? YAML_FLOW_SEQUENCE_STYLE
                                                                   : YAML_BLOCK_SEQUENCE_STYLE);
    value_emit(emitter, &event);
    for (uint32_t i = 0; i < value->count; i++) {
        if (map)
            value_emit_text(emitter, value->entries[i].key, false);
        value_emit_tree(emitter, value->entries[i].value);
    }
    if (map)
        yaml_mapping_end_event_initialize(&event);
    else
        yaml_sequence_end_event_initialize(&event);
    value_emit(emitter, &event);
}

char *value_write(const struct value *value, struct arena *arena)
{
    struct value_text text = {.arena = arena};
    yaml_emitter_t emitter;
    yaml_event_t event;
    yaml_emitter_initialize(&emitter);
    yaml_emitter_set_output(&emitter, value_collect, &text);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
    value_emit(&emitter, &event);
    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
    value_emit(&emitter, &event);
    value_emit_tree(&emitter, value);
    yaml_document_end_event_initialize(&event, 1);
    value_emit(&emitter, &event);
    yaml_stream_end_event_initialize(&event);
    value_emit(&emitter, &event);
    yaml_emitter_flush(&emitter);
    yaml_emitter_delete(&emitter);
    return text.bytes;
}
