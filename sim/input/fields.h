/* Fields: reads a map into a struct by a table, so that checking, defaults, error messages and the manual
 * come from one list. A field that the map does not have leaves its target as the caller prepared it.
 * Reported, each with its place: an unknown key (with the nearest valid one), a missing required key, a wrong
 * type, a missing or wrong unit, a number out of range, an unknown choice (with the nearest). Reading goes on
 * after an error. */
#ifndef PARTITA_INPUT_FIELDS_H
#define PARTITA_INPUT_FIELDS_H

#include "base/unit.h"
#include "input/expression.h"
#include "input/value.h"

enum field_kind {
    FIELD_TEXT,     /* const char *; a name bound to a text in the scope stands for that text */
    FIELD_FLAG,     /* bool: yes no true false on off, or an expression */
    FIELD_INTEGER,  /* int64_t: an expression with a whole result */
    FIELD_NUMBER,   /* double: an expression without unit ("50%" is 0.5) */
    FIELD_QUANTITY, /* double in SI: an expression with `unit` */
    FIELD_CHOICE,   /* int: index into `choices` (NULL-terminated) */
    FIELD_VALUE,    /* const struct value *: read by the caller */
};

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset; /* of the target in the struct, of the type named above */
    enum unit unit;
    bool required;
    bool relative;    /* FIELD_QUANTITY: "50%" is that share of what the target holds; NAN: nothing */
    double low, high; /* inclusive range of numbers; both 0: no limits */
    const char *const *choices; /* FIELD_CHOICE */
    const char *about;          /* one line for the manual */
};

/* Returns false if anything was reported for this map. `what` names the map in messages ("device type"). A
 * NULL map reads nothing and misses every required field (reported at `where`). */
bool fields_read(struct input *input, const struct value *map, struct place where, const char *what,
                 const struct field *table, size_t count, const struct scope *scope, void *target);

/* One value by the rules of one field (used for lists of numbers and for maps with free keys). */
bool fields_read_one(struct input *input, const struct value *value, const struct field *field,
                     const struct scope *scope, void *target);

/* Checks the shape only: reports and returns false unless `value` is a map (list). NULL is not. */
bool fields_want_map(struct input *input, const struct value *value, struct place where, const char *what);
bool fields_want_list(struct input *input, const struct value *value, struct place where, const char *what);

/* Reports "unknown key 'x' in WHAT; did you mean 'y'?" at the entry's place. */
bool fields_unknown(struct input *input, const struct entry *entry, const char *what,
                    const char *const *known, size_t count);
/* Reports "there is no WHAT 'x'; did you mean 'y'?" at a place. */
bool fields_no_such(struct input *input, struct place place, const char *what, const char *name,
                    const char *const *known, size_t count);

#define FIELDS_COUNT(table) (sizeof(table) / sizeof((table)[0]))

#endif
