/* Onnx_wire: walks the wire format of protocol buffers (developers.google.com/protocol-buffers/docs/encoding)
 * in memory that is not copied. A message is an interval of bytes; a field of it is a number, a kind and a
 * value, or another interval. Whoever does not know a field's number goes on to the next one.
 *
 * A library that unpacks messages copies every field, also the gigabytes of a network's weights. Here a field
 * that nobody reads costs a look at its tag and length: a file that is mapped into memory is not even loaded
 * there. Every length is checked against the message around it, so no read leaves the file. */
#ifndef PARTITA_MODEL_ONNX_WIRE_H
#define PARTITA_MODEL_ONNX_WIRE_H

#include "base/arena.h"
#include "base/report.h"

#include <stdbool.h>
#include <stdint.h>

enum onnx_wire_kind { ONNX_VARINT = 0, ONNX_FIXED64 = 1, ONNX_BYTES = 2, ONNX_FIXED32 = 5 };

/* Bytes of a message that are still to be read. */
struct onnx_wire {
    const uint8_t *at, *end;
};

struct onnx_field {
    uint32_t number;
    enum onnx_wire_kind kind;
    uint64_t value;        /* varint, fixed64 and fixed32: its bits */
    struct onnx_wire data; /* bytes: what is inside */
};

/* What is wrong with a file; the walkers of one file share it. */
struct onnx_reader {
    struct report *report;
    struct arena *arena; /* of texts and arrays */
    const char *file;
    const uint8_t *start;
};

/* The next field of a message; false at its end, or after reporting (then the message is at its end too). */
bool onnx_wire_next(struct onnx_reader *reader, struct onnx_wire *wire, struct onnx_field *field);

/* Reports at the byte where something is wrong. Returns false. */
bool onnx_wire_error(struct onnx_reader *reader, const uint8_t *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A field's text in the arena; reports one that is no text or has a zero byte, and gives "". */
const char *onnx_wire_text(struct onnx_reader *reader, const struct onnx_field *field);
/* The interval of a field that must be a message; reports another kind and gives an empty one. */
struct onnx_wire onnx_wire_message(struct onnx_reader *reader, const struct onnx_field *field);
/* The number of a field that must be a varint. */
int64_t onnx_wire_integer(struct onnx_reader *reader, const struct onnx_field *field);

/* Repeated numbers come one by one or packed: calls `each` with the bits of every one. `kind` is that of one
 * number. */
void onnx_wire_numbers(struct onnx_reader *reader, const struct onnx_field *field, enum onnx_wire_kind kind,
                       void (*each)(void *to, uint64_t bits), void *to);

#endif
