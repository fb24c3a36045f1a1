#include "model/onnx_wire.h"

#include <string.h>

bool onnx_wire_error(struct onnx_reader *reader, const uint8_t *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vformat(reader->arena, format, arguments);
    va_end(arguments);
    return report_error(reader->report, (struct place){reader->file, 0, 0}, "byte %llu: %s",
                        (unsigned long long)(at - reader->start), text);
}

/* Seven bits a byte, the lowest first; at most ten bytes. */
static bool onnx_wire_varint(struct onnx_wire *wire, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 70 && wire->at < wire->end; shift += 7) {
        uint8_t byte = *wire->at++;
        if (shift == 63 && byte > 1)
            return false;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool onnx_wire_fixed(struct onnx_wire *wire, unsigned bytes, uint64_t *value)
{
    *value = 0;
    if ((size_t)(wire->end - wire->at) < bytes)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        *value |= (uint64_t)wire->at[i] << 8 * i;
    wire->at += bytes;
    return true;
}

static bool onnx_wire_bytes(struct onnx_wire *wire, struct onnx_wire *data)
{
    uint64_t length;
    if (!onnx_wire_varint(wire, &length) || length > (uint64_t)(wire->end - wire->at))
        return false;
    *data = (struct onnx_wire){wire->at, wire->at + length};
    wire->at += length;
    return true;
}

/* One number of a kind, as its bits. */
static bool onnx_wire_number(struct onnx_wire *wire, enum onnx_wire_kind kind, uint64_t *bits)
{
    if (kind == ONNX_VARINT)
        return onnx_wire_varint(wire, bits);
    return onnx_wire_fixed(wire, kind == ONNX_FIXED64 ? 8 : 4, bits);
}

bool onnx_wire_next(struct onnx_reader *reader, struct onnx_wire *wire, struct onnx_field *field)
{
    const uint8_t *start = wire->at;
    uint64_t tag;
    *field = (struct onnx_field){0};
    if (wire->at == wire->end)
        return false;
    bool good = onnx_wire_varint(wire, &tag) && tag >> 3 > 0 && tag >> 3 < 1u << 29;
    if (good) {
        unsigned kind = tag & 7;
        field->number = (uint32_t)(tag >> 3);
        field->kind = (enum onnx_wire_kind)kind;
        if (kind == ONNX_BYTES)
            good = onnx_wire_bytes(wire, &field->data);
        else
            good = (kind == ONNX_VARINT || kind == ONNX_FIXED64 || kind == ONNX_FIXED32) &&
                   onnx_wire_number(wire, field->kind, &field->value);
    }
    if (good)
        return true;
    wire->at = wire->end;
    return onnx_wire_error(reader, start,
                           "the file is damaged or no ONNX model: expected a field that ends "
                           "before its message does");
}

struct onnx_wire onnx_wire_message(struct onnx_reader *reader, const struct onnx_field *field)
{
    if (field->kind == ONNX_BYTES)
        return field->data;
    onnx_wire_error(reader, reader->start, "field %u is a number; expected a message or text", field->number);
    return (struct onnx_wire){reader->start, reader->start};
}

int64_t onnx_wire_integer(struct onnx_reader *reader, const struct onnx_field *field)
{
    if (field->kind == ONNX_VARINT)
        return (int64_t)field->value;
    onnx_wire_error(reader, field->data.at ? field->data.at : reader->start,
                    "field %u is no whole number, which was expected", field->number);
    return 0;
}

/* Control characters would garble messages and converted files. */
const char *onnx_wire_text(struct onnx_reader *reader, const struct onnx_field *field)
{
    struct onnx_wire data = onnx_wire_message(reader, field);
    size_t length = (size_t)(data.end - data.at);
    for (size_t i = 0; i < length; i++)
        if (data.at[i] < 0x20 || data.at[i] == 0x7f) {
            onnx_wire_error(reader, data.at + i, "expected text; got the byte 0x%02x", data.at[i]);
            return "";
        }
    char *text = arena_alloc(reader->arena, length + 1);
    if (length)
        memcpy(text, data.at, length);
    return text;
}

void onnx_wire_numbers(struct onnx_reader *reader, const struct onnx_field *field, enum onnx_wire_kind kind,
                       void (*each)(void *to, uint64_t bits), void *to)
{
    struct onnx_wire data = field->data;
    uint64_t bits;
    if (field->kind == kind) {
        each(to, field->value);
        return;
    }
    if (field->kind != ONNX_BYTES) {
        onnx_wire_error(reader, reader->start, "field %u has numbers of another kind than expected",
                        field->number);
        return;
    }
    while (data.at < data.end) {
        const uint8_t *start = data.at;
        if (!onnx_wire_number(&data, kind, &bits)) {
            onnx_wire_error(reader, start, "a list of numbers ends in the middle of one");
            return;
        }
        each(to, bits);
    }
}
