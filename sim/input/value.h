/* Value: what a YAML or JSON document says, before it has a type. Every value and every key knows its
 * file:line:column. Values are immutable once loaded, except through document_set(). Everything lives in the
 * arena of the `struct input` that read it. */
#ifndef PARTITA_INPUT_VALUE_H
#define PARTITA_INPUT_VALUE_H

#include "base/arena.h"
#include "base/report.h"

#include <stdbool.h>
#include <stdint.h>

enum value_kind { VALUE_NULL, VALUE_SCALAR, VALUE_LIST, VALUE_MAP };

struct value {
    enum value_kind kind;
    bool quoted;           /* a scalar written in quotes: never a number or a flag */
    struct place place;    /* of its first character */
    const char *text;      /* scalar: its text, NUL-terminated; else NULL */
    struct entry *entries; /* list and map: `count` entries, in the order of the document */
    uint32_t count, room;
};

struct entry {
    const char *key;     /* map: the key; list: NULL */
    struct place place;  /* of the key; list: of the item */
    struct value *value; /* never NULL: an empty value has kind VALUE_NULL */
};

/* What a value is called in a message: "a map", "a list", "the text 'abc'", "nothing". Uses the arena. */
const char *value_describe(const struct value *value, struct arena *arena);

/* The value under a key of a map; NULL when the map has no such key, is NULL, or is no map. */
struct value *value_get(const struct value *map, const char *key);

/* The same with its key and place. */
struct entry *value_entry(const struct value *map, const char *key);

/* The value under a dotted path ("plan.stages[1].devices", "links.wifi"); NULL when there is none. */
struct value *value_at(const struct value *root, const char *path);

/* Builders, used by the readers and by importers. A duplicate key is the caller's error to report (returns
 * false). */
struct value *value_new_scalar(struct arena *arena, struct place place, const char *text, bool quoted);
struct value *value_new(struct arena *arena, struct place place, enum value_kind kind);
void value_append(struct arena *arena, struct value *list, struct value *item);
bool value_put(struct arena *arena, struct value *map, const char *key, struct place key_place,
               struct value *item);
struct value *value_clone(struct arena *arena, const struct value *value);

/* Whether a plain text stands for no value: nothing at all, ~ or null. */
bool value_is_null_word(const char *text);

/* The document as YAML that reads back to the same values (block style for maps, flow style for short lists
 * and leaf maps), for the database's copy of the resolved input. Returns text in the arena. */
char *value_write(const struct value *value, struct arena *arena);

#endif
