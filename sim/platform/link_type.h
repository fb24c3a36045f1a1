/* Link type: what topologies/links/NAME.yaml says about one kind of link; an entry of `links:` may say the
 * same keys and more. */
#ifndef PARTITA_PLATFORM_LINK_TYPE_H
#define PARTITA_PLATFORM_LINK_TYPE_H

#include "input/fields.h"
#include "platform/platform.h"

struct link_type {
    const char *name, *about;
    double bandwidth;       /* bytes per second, nominal, each direction; NAN: not said */
    double efficiency;      /* usable share of it */
    double latency;         /* seconds */
    double overhead;        /* seconds per message, on top of the latency */
    double half_size;       /* bytes of a message that gets half of the bandwidth; 0: all messages get all */
    double payload, header; /* bytes of a packet: the share of the first in both reaches the other end */
    double launch;          /* seconds that each collective costs once */
    int mode;               /* enum link_mode */
    const struct value *protocols, *reverse; /* NULL: none */
};

extern const char *const link_type_modes[]; /* by enum link_mode; NULL-terminated */

/* The keys of a link file: name, about, then the LINK_TYPE_PROPERTIES that an entry may override. */
extern const struct field link_type_fields[], link_type_reverse_fields[];
extern const size_t link_type_field_count, link_type_reverse_field_count;

#define LINK_TYPE_PROPERTY(where, member, name, text, ...)                                                   \
    {                                                                                                        \
        .key = name, .offset = where + offsetof(struct link_type, member), .about = text, __VA_ARGS__        \
    }
/* Rows of a field table for a struct that holds a struct link_type at offset `where`. */
#define LINK_TYPE_NUMBERS(where)                                                                             \
    LINK_TYPE_PROPERTY(where, bandwidth, "bandwidth", "nominal rate, each direction",                        \
                       .kind = FIELD_QUANTITY, .unit = UNIT_BYTES_PER_SECOND, .relative = true),             \
        LINK_TYPE_PROPERTY(where, efficiency, "efficiency", "the usable share of the bandwidth; default 1",  \
                           .kind = FIELD_NUMBER, .low = 0, .high = 1),                                       \
        LINK_TYPE_PROPERTY(where, latency, "latency", "time before the first byte arrives; default 0",       \
                           .kind = FIELD_QUANTITY, .unit = UNIT_SECONDS, .relative = true, .low = 0,         \
                           .high = 3600),                                                                    \
        LINK_TYPE_PROPERTY(                                                                                  \
            where, overhead, "overhead", "time that each message costs on top of the latency; default 0",    \
            .kind = FIELD_QUANTITY, .unit = UNIT_SECONDS, .relative = true, .low = 0, .high = 3600),         \
        LINK_TYPE_PROPERTY(where, half_size, "half-size",                                                    \
                           "size of a message that gets half of the bandwidth; default 0",                   \
                           .kind = FIELD_QUANTITY, .unit = UNIT_BYTES, .low = 0, .high = 1e15),              \
        LINK_TYPE_PROPERTY(where, payload, "payload", "bytes of a packet that belong to the message",        \
                           .kind = FIELD_QUANTITY, .unit = UNIT_BYTES, .low = 1, .high = 1e15),              \
        LINK_TYPE_PROPERTY(where, header, "header", "bytes that a packet adds to its payload; default 0",    \
                           .kind = FIELD_QUANTITY, .unit = UNIT_BYTES, .low = 0, .high = 1e15)
#define LINK_TYPE_PROPERTIES(where)                                                                          \
    LINK_TYPE_NUMBERS(where),                                                                                \
        LINK_TYPE_PROPERTY(where, launch, "launch",                                                          \
                           "time that each collective over it costs once, whatever the protocol; default 0", \
                           .kind = FIELD_QUANTITY, .unit = UNIT_SECONDS, .low = 0, .high = 3600),            \
        LINK_TYPE_PROPERTY(where, protocols, "protocols",                                                    \
                           "how software sends: a map from names to their numbers; none: the bare wire",     \
                           .kind = FIELD_VALUE),                                                             \
        LINK_TYPE_PROPERTY(where, mode, "mode", "who shares the capacity; default full-duplex",              \
                           .kind = FIELD_CHOICE, .choices = link_type_modes),                                \
        LINK_TYPE_PROPERTY(where, reverse, "reverse", "what differs from `to` back to `from`",               \
                           .kind = FIELD_VALUE)

void link_type_init(struct link_type *type);

/* Lays the named file over `type`. */
bool link_type_load(struct input *input, const char *name, struct place place, struct link_type *type);

/* The properties of the direction from `to` back to `from`: the same but for what `reverse:` says. */
bool link_type_reverse(struct input *input, const struct link_type *type, const struct scope *scope,
                       struct link_type *out);

/* Bytes of messages per second that one cable carries: what efficiency and packet headers leave. */
double link_type_rate(const struct link_type *type);

/* Reports a bandwidth or an efficiency that is not more than 0, and headers without a payload. `what` names
 * the link. */
bool link_type_check(struct input *input, const struct link_type *type, const char *what, struct place place);

#endif
