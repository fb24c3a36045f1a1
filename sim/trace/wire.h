/* Wire: the encoding of Protocol Buffers, read in place and written into a vector of bytes. A message is a
 * sequence of fields: a key (number · 8 + type) as a varint, then a varint, 4 or 8 bytes, or a length and so
 * many bytes (protobuf.dev/programming-guides/encoding). Reading never looks beyond the end of its bytes. */
#ifndef PARTITA_TRACE_WIRE_H
#define PARTITA_TRACE_WIRE_H

#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* What is left to read of a message. */
struct wire {
    const uint8_t *at, *end;
    const char *problem; /* why reading stopped before the end; NULL: it did not */
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;    /* of a varint; the bits of 4 or 8 bytes */
    struct wire bytes; /* WIRE_BYTES: the content */
};

struct wire_buffer {
    uint8_t *at;
    uint32_t count, room;
};

struct wire wire_over(const void *bytes, size_t length);

/* The next varint; false at the end or, with wire->problem, when there is none. */
bool wire_varint(struct wire *wire, uint64_t *value);
/* The next `length of so many bytes`. */
bool wire_block(struct wire *wire, struct wire *content);
/* The next field, of any number: those that a reader does not know it skips by ignoring them. */
bool wire_next(struct wire *wire, struct wire_field *field);

void wire_put_varint(struct wire_buffer *out, uint64_t value);
void wire_put_integer(struct wire_buffer *out, uint32_t number, uint64_t value);
void wire_put_double(struct wire_buffer *out, uint32_t number, double value);
void wire_put_bytes(struct wire_buffer *out, uint32_t number, const void *bytes, size_t length);

#endif
