#include "model/onnx_numbers.h"

#include <string.h>

size_t onnx_numbers_size(int64_t type)
{
    static const uint8_t sizes[ONNX_TYPE_COUNT] = {
        [ONNX_FLOAT] = 4,     [ONNX_UINT8] = 1,       [ONNX_INT8] = 1,    [ONNX_UINT16] = 2,
        [ONNX_INT16] = 2,     [ONNX_INT32] = 4,       [ONNX_INT64] = 8,   [ONNX_BOOL] = 1,
        [ONNX_FLOAT16] = 2,   [ONNX_DOUBLE] = 8,      [ONNX_UINT32] = 4,  [ONNX_UINT64] = 8,
        [ONNX_COMPLEX64] = 8, [ONNX_COMPLEX128] = 16, [ONNX_BFLOAT16] = 2};
    return type >= 0 && type < ONNX_TYPE_COUNT ? sizes[type] : 0;
}

/* IEEE 754 binary16 and bfloat16, as a double. */
static double onnx_numbers_half(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023), sign = bits >> 15 & 1 ? -1 : 1;
    double value = exponent ? 1024 + fraction : fraction;
    for (int e = exponent ? exponent : 1; e < 25; e++)
        value /= 2;
    for (int e = 25; e < exponent; e++)
        value *= 2;
    return sign * value;
}

double onnx_numbers_float(uint64_t bits)
{
    uint32_t word = (uint32_t)bits;
    float value;
    memcpy(&value, &word, sizeof value);
    return (double)value;
}

static double onnx_numbers_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double onnx_numbers_one(int64_t type, uint64_t bits)
{
    switch (type) {
    case ONNX_FLOAT:
        return onnx_numbers_float(bits);
    case ONNX_DOUBLE:
        return onnx_numbers_double(bits);
    case ONNX_FLOAT16:
        return onnx_numbers_half(bits & 0xffff);
    case ONNX_BFLOAT16:
        return onnx_numbers_float((bits & 0xffff) << 16);
    case ONNX_INT8:
        return (double)(int8_t)bits;
    case ONNX_INT16:
        return (double)(int16_t)bits;
    case ONNX_INT32:
        return (double)(int32_t)bits;
    case ONNX_INT64:
        return (double)(int64_t)bits;
    default:
        return (double)bits;
    }
}

/* Somebody who wants to see each element, in order, until he has seen enough. */
struct onnx_numbers_visit {
    bool (*each)(void *to, double number); /* false: enough */
    void *to;
    int64_t type, count;
    bool enough;
};

static void onnx_numbers_push(void *to, uint64_t bits)
{
    struct onnx_numbers_visit *visit = to;
    visit->count++;
    visit->enough = visit->enough || !visit->each(visit->to, onnx_numbers_one(visit->type, bits));
}

/* The number of the TensorProto's field with the elements of a type. */
static uint32_t onnx_numbers_field(int64_t type)
{
    enum { FLOATS = 4, INT32S = 5, INT64S = 7, DOUBLES = 10, UINT64S = 11 };
    if (type == ONNX_FLOAT)
        return FLOATS;
    if (type == ONNX_DOUBLE)
        return DOUBLES;
    if (type == ONNX_INT64)
        return INT64S;
    return type == ONNX_UINT32 || type == ONNX_UINT64 ? UINT64S : INT32S;
}

static void onnx_numbers_raw(const struct onnx_tensor *tensor, struct onnx_numbers_visit *visit)
{
    struct onnx_wire raw = tensor->raw;
    size_t size = onnx_numbers_size(tensor->type);
    for (; !visit->enough && (size_t)(raw.end - raw.at) >= size; raw.at += size) {
        uint64_t bits = 0;
        memcpy(&bits, raw.at, size);
        onnx_numbers_push(visit, bits);
    }
}

/* Whether all elements were there to be seen. */
static bool onnx_numbers_visit(struct arena *arena, const struct onnx_tensor *tensor,
                               struct onnx_numbers_visit *visit)
{
    bool plain =
        onnx_numbers_size(tensor->type) && tensor->type != ONNX_COMPLEX64 && tensor->type != ONNX_COMPLEX128;
    if (!plain || tensor->external || tensor->sparse)
        return false;
    visit->type = tensor->type;
    struct report ignored;
    report_init(&ignored); /* the message was walked before: nothing is found */
    struct onnx_reader reader = {&ignored, arena, NULL, tensor->field.at};
    struct onnx_wire wire = tensor->field;
    struct onnx_field field;
    uint32_t wanted = onnx_numbers_field(tensor->type);
    enum onnx_wire_kind kind = wanted == 4 ? ONNX_FIXED32 : wanted == 10 ? ONNX_FIXED64 : ONNX_VARINT;
    if (tensor->raw.at)
        onnx_numbers_raw(tensor, visit);
    while (!tensor->raw.at && onnx_wire_next(&reader, &wire, &field))
        if (field.number == wanted)
            onnx_wire_numbers(&reader, &field, kind, onnx_numbers_push, visit);
    bool whole = !ignored.errors && visit->count == onnx_file_elements(&tensor->shape);
    report_fini(&ignored);
    return whole;
}

struct onnx_numbers_list {
    double *numbers;
    int64_t count, room;
};

static bool onnx_numbers_keep(void *to, double number)
{
    struct onnx_numbers_list *list = to;
    if (list->count < list->room)
        list->numbers[list->count] = number;
    list->count++;
    return true;
}

const double *onnx_numbers(struct arena *arena, const struct onnx_tensor *tensor)
{
    int64_t elements = onnx_file_elements(&tensor->shape);
    if (elements < 0 || elements > ONNX_KNOWN)
        return NULL;
    struct onnx_numbers_list list = {ARENA_ARRAY(arena, double, (size_t)elements + 1), 0, elements};
    struct onnx_numbers_visit visit = {.each = onnx_numbers_keep, .to = &list};
    return onnx_numbers_visit(arena, tensor, &visit) ? list.numbers : NULL;
}

bool onnx_numbers_square(struct onnx_numbers_squares *squares, const struct onnx_shape *shape)
{
    enum { MOST = 1 << 24 };
    int64_t elements = onnx_file_elements(shape), side = shape->rank ? shape->dims[shape->rank - 1] : 0;
    *squares = (struct onnx_numbers_squares){.side = side};
    return shape->rank >= 2 && side >= 2 && shape->dims[shape->rank - 2] == side && elements > 0 &&
           elements <= MOST;
}

bool onnx_numbers_fits(void *to, double number)
{
    struct onnx_numbers_squares *squares = to;
    int64_t row = squares->at / squares->side % squares->side, column = squares->at % squares->side;
    double *same = column > row ? &squares->above : &squares->below;
    if (squares->at++ < 2)
        *same = number;
    return *same == number && (squares->at < 2 || squares->below != squares->above);
}

bool onnx_numbers_triangle(struct arena *arena, const struct onnx_tensor *tensor)
{
    struct onnx_numbers_squares squares;
    struct onnx_numbers_visit visit = {.each = onnx_numbers_fits, .to = &squares};
    return onnx_numbers_square(&squares, &tensor->shape) && onnx_numbers_visit(arena, tensor, &visit) &&
           !visit.enough;
}
