#include "trace/wire.h"

#include <string.h>

struct wire wire_over(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    return (struct wire){at, length ? at + length : at, NULL};
}

static bool wire_fail(struct wire *wire, const char *problem)
{
    wire->problem = problem;
    return false;
}

bool wire_varint(struct wire *wire, uint64_t *value)
{
    *value = 0;
    if (wire->at == wire->end)
        return false;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (wire->at == wire->end)
            return wire_fail(wire, "it ends inside a number");
        uint8_t byte = *wire->at++;
        if (shift == 63 && byte > 1)
            break;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return wire_fail(wire, "a number has more than 64 bits");
}

bool wire_block(struct wire *wire, struct wire *content)
{
    uint64_t length;
    if (!wire_varint(wire, &length))
        return false;
    if (length > (uint64_t)(wire->end - wire->at))
        return wire_fail(wire, "a length goes beyond the end");
    *content = wire_over(wire->at, (size_t)length);
    wire->at += length;
    return true;
}

/* 4 or 8 bytes, the lowest first. */
static bool wire_fixed(struct wire *wire, unsigned bytes, uint64_t *value)
{
    *value = 0;
    if (wire->end - wire->at < (ptrdiff_t)bytes)
        return wire_fail(wire, "it ends inside a number");
    for (unsigned i = 0; i < bytes; i++)
        *value |= (uint64_t)*wire->at++ << (8 * i);
    return true;
}

bool wire_next(struct wire *wire, struct wire_field *field)
{
    uint64_t key;
    if (!wire_varint(wire, &key))
        return false;
    *field = (struct wire_field){.number = (uint32_t)(key >> 3), .type = (enum wire_type)(key & 7)};
    if (key >> 3 == 0 || key >> 32)
        return wire_fail(wire, "a field has a number that no field can have");
    bool good = false;
    switch (field->type) {
    case WIRE_VARINT:
        good = wire_varint(wire, &field->value);
        break;
    case WIRE_64:
        good = wire_fixed(wire, 8, &field->value);
        break;
    case WIRE_BYTES:
        good = wire_block(wire, &field->bytes);
        break;
    case WIRE_32:
        good = wire_fixed(wire, 4, &field->value);
        break;
    default:
        return wire_fail(wire, "a field has an unknown type of encoding");
    }
    if (!good && !wire->problem)
        wire_fail(wire, "it ends after the key of a field");
    return good;
}

void wire_put_varint(struct wire_buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        VECTOR_PUSH(out, (uint8_t)(value | 0x80));
    VECTOR_PUSH(out, (uint8_t)value);
}

void wire_put_integer(struct wire_buffer *out, uint32_t number, uint64_t value)
{
    wire_put_varint(out, number << 3 | WIRE_VARINT);
    wire_put_varint(out, value);
}

void wire_put_double(struct wire_buffer *out, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    wire_put_varint(out, number << 3 | WIRE_64);
    for (unsigned i = 0; i < 8; i++)
        VECTOR_PUSH(out, (uint8_t)(bits >> (8 * i)));
}

void wire_put_bytes(struct wire_buffer *out, uint32_t number, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    wire_put_varint(out, number << 3 | WIRE_BYTES);
    wire_put_varint(out, length);
    for (size_t i = 0; i < length; i++)
        VECTOR_PUSH(out, from[i]);
}
