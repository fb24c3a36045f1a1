#include "model/onnx_declared.h"

static void onnx_declared_dim(struct onnx_reader *reader, struct onnx_wire wire, struct onnx_dim *dim)
{
    enum { SIZE = 1, NAME = 2 };
    struct onnx_field field;
    *dim = (struct onnx_dim){NULL, -1};
    while (onnx_wire_next(reader, &wire, &field)) {
        if (field.number == SIZE)
            *dim = (struct onnx_dim){NULL, onnx_wire_integer(reader, &field)};
        else if (field.number == NAME)
            dim->name = onnx_wire_text(reader, &field);
    }
    if (dim->name && !*dim->name)
        dim->name = NULL;
}

static void onnx_declared_shape(struct onnx_reader *reader, struct onnx_wire wire,
                                struct onnx_declared *declared)
{
    struct onnx_field field;
    declared->shaped = true;
    while (onnx_wire_next(reader, &wire, &field)) {
        if (field.number != 1)
            continue;
        if (declared->rank == ONNX_RANK) {
            onnx_wire_error(reader, wire.at, "'%s' has more than %d dimensions", declared->name,
                            (int)ONNX_RANK);
            return;
        }
        onnx_declared_dim(reader, onnx_wire_message(reader, &field), &declared->dims[declared->rank++]);
    }
}

static void onnx_declared_tensor_type(struct onnx_reader *reader, struct onnx_wire wire,
                                      struct onnx_declared *declared)
{
    struct onnx_field field;
    declared->tensor = true;
    while (onnx_wire_next(reader, &wire, &field)) {
        if (field.number == 1)
            declared->type = onnx_wire_integer(reader, &field);
        else if (field.number == 2)
            onnx_declared_shape(reader, onnx_wire_message(reader, &field), declared);
    }
}

struct onnx_declared onnx_declared_read(struct onnx_reader *reader, struct onnx_wire wire)
{
    enum { NAME = 1, TYPE = 2 };
    struct onnx_declared declared = {.name = ""};
    struct onnx_field field, inner;
    while (onnx_wire_next(reader, &wire, &field)) {
        if (field.number == NAME)
            declared.name = onnx_wire_text(reader, &field);
        if (field.number != TYPE)
            continue;
        struct onnx_wire type = onnx_wire_message(reader, &field);
        while (onnx_wire_next(reader, &type, &inner))
            if (inner.number == 1)
                onnx_declared_tensor_type(reader, onnx_wire_message(reader, &inner), &declared);
    }
    return declared;
}
