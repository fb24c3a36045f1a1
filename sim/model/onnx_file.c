#include "model/onnx_file.h"

#include "model/onnx_declared.h"
#include "model/onnx_numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct onnx_walk {
    struct onnx_reader reader;
    struct onnx_file *file;
    uint32_t depth; /* of graphs inside nodes of graphs */
};

bool onnx_file_is(const char *path)
{
    size_t length = strlen(path);
    return length > 5 && strcmp(path + length - 5, ".onnx") == 0;
}

int64_t onnx_file_elements(const struct onnx_shape *shape)
{
    int64_t elements = 1;
    for (uint32_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] == 0)
            return 0;
    for (uint32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0 || shape->dims[i] > (INT64_C(1) << 60) / elements)
            return -1;
        elements *= shape->dims[i];
    }
    return elements;
}

const struct onnx_attribute *onnx_file_attribute(const struct onnx_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->attributes.count; i++)
        if (strcmp(node->attributes.at[i].name, name) == 0)
            return &node->attributes.at[i];
    return NULL;
}

/* ---- tensors ---- */

struct onnx_file_dims {
    struct onnx_shape *shape;
    bool many;
};

static void onnx_file_push_dim(void *to, uint64_t bits)
{
    struct onnx_file_dims *dims = to;
    dims->many = dims->many || dims->shape->rank == ONNX_RANK;
    if (!dims->many)
        dims->shape->dims[dims->shape->rank++] = (int64_t)bits;
}

static void onnx_file_read_dims(struct onnx_reader *reader, const struct onnx_field *field,
                                struct onnx_shape *shape)
{
    struct onnx_file_dims dims = {.shape = shape};
    onnx_wire_numbers(reader, field, ONNX_VARINT, onnx_file_push_dim, &dims);
    if (dims.many)
        onnx_wire_error(reader, field->data.at ? field->data.at : reader->start,
                        "a tensor has more than %d dimensions", (int)ONNX_RANK);
}

static void onnx_file_check_tensor(struct onnx_reader *reader, const struct onnx_tensor *tensor)
{
    int64_t elements = onnx_file_elements(&tensor->shape);
    size_t size = onnx_numbers_size(tensor->type), length = (size_t)(tensor->raw.end - tensor->raw.at);
    if (elements < 0)
        onnx_wire_error(reader, tensor->field.at, "tensor '%s' has a negative dimension or too many elements",
                        tensor->name);
    else if (tensor->raw.at && size && (uint64_t)elements * size != length)
        onnx_wire_error(reader, tensor->raw.at,
                        "tensor '%s' has %lld elements of %zu bytes, but %zu bytes of data", tensor->name,
                        (long long)elements, size, length);
}

static void onnx_file_read_tensor(struct onnx_reader *reader, struct onnx_wire wire,
                                  struct onnx_tensor *tensor)
{
    enum { DIMS = 1, TYPE = 2, NAME = 8, RAW = 9, LOCATION = 14 };
    struct onnx_field field;
    *tensor = (struct onnx_tensor){.name = "", .field = wire};
    while (onnx_wire_next(reader, &wire, &field)) {
        if (field.number == DIMS)
            onnx_file_read_dims(reader, &field, &tensor->shape);
        else if (field.number == TYPE)
            tensor->type = onnx_wire_integer(reader, &field);
        else if (field.number == NAME)
            tensor->name = onnx_wire_text(reader, &field);
        else if (field.number == RAW)
            tensor->raw = onnx_wire_message(reader, &field);
        else if (field.number == LOCATION)
            tensor->external = onnx_wire_integer(reader, &field) == 1;
    }
    onnx_file_check_tensor(reader, tensor);
}

/* A sparse weight counts as the dense tensor that it stands for. */
static void onnx_file_read_sparse(struct onnx_reader *reader, struct onnx_wire wire,
                                  struct onnx_tensor *tensor)
{
    enum { VALUES = 1, DIMS = 3 };
    struct onnx_field field;
    struct onnx_shape shape = {0};
    *tensor = (struct onnx_tensor){.name = ""};
    while (onnx_wire_next(reader, &wire, &field)) {
        if (field.number == VALUES)
            onnx_file_read_tensor(reader, onnx_wire_message(reader, &field), tensor);
        else if (field.number == DIMS)
            onnx_file_read_dims(reader, &field, &shape);
    }
    tensor->shape = shape;
    tensor->sparse = true;
    tensor->raw = (struct onnx_wire){NULL, NULL};
    if (onnx_file_elements(&shape) < 0)
        onnx_wire_error(reader, reader->start,
                        "sparse tensor '%s' has a negative dimension or too many elements", tensor->name);
}

/* ---- nodes ---- */

static void onnx_file_read_graph(struct onnx_walk *walk, struct onnx_wire wire, struct onnx_graph *graph);

static void onnx_file_push_int(void *to, uint64_t bits)
{
    VECTOR_PUSH(&((struct onnx_attribute *)to)->ints, (int64_t)bits);
}

static void onnx_file_push_float(void *to, uint64_t bits)
{
    VECTOR_PUSH(&((struct onnx_attribute *)to)->floats, onnx_numbers_float(bits));
}

static void onnx_file_read_inner(struct onnx_walk *walk, struct onnx_wire wire,
                                 struct onnx_attribute *attribute)
{
    if (walk->depth == ONNX_DEPTH) {
        onnx_wire_error(&walk->reader, wire.at, "graphs nest deeper than %d", (int)ONNX_DEPTH);
        return;
    }
    struct onnx_graph *graph = ARENA_NEW(walk->reader.arena, struct onnx_graph);
    VECTOR_PUSH(&walk->file->inner, graph);
    attribute->g = graph;
    walk->depth++;
    onnx_file_read_graph(walk, wire, graph);
    walk->depth--;
}

static void onnx_file_read_attribute(struct onnx_walk *walk, struct onnx_wire wire,
                                     struct onnx_attribute *attribute)
{
    enum { NAME = 1, F, I, S, T, G, FLOATS, INTS, STRINGS, GRAPHS = 11, REFERENCE = 21 };
    struct onnx_reader *reader = &walk->reader;
    struct onnx_field field;
    while (onnx_wire_next(reader, &wire, &field)) {
        struct onnx_tensor *tensor;
        switch (field.number) {
        case NAME:
            attribute->name = onnx_wire_text(reader, &field);
            break;
        case F:
            attribute->f = onnx_numbers_float(field.value);
            break;
        case I:
            attribute->i = onnx_wire_integer(reader, &field);
            break;
        case S: /* may be any bytes (a custom operator's program): what is no text is not read */
            if (field.kind == ONNX_BYTES && (size_t)(field.data.end - field.data.at) < 256 &&
                !memchr(field.data.at, '\n', (size_t)(field.data.end - field.data.at)))
                attribute->s = onnx_wire_text(reader, &field);
            break;
        case T:
            tensor = ARENA_NEW(reader->arena, struct onnx_tensor);
            onnx_file_read_tensor(reader, onnx_wire_message(reader, &field), tensor);
            attribute->t = tensor;
            break;
        case G:
        case GRAPHS:
            onnx_file_read_inner(walk, onnx_wire_message(reader, &field), attribute);
            break;
        case FLOATS:
            onnx_wire_numbers(reader, &field, ONNX_FIXED32, onnx_file_push_float, attribute);
            break;
        case INTS:
            onnx_wire_numbers(reader, &field, ONNX_VARINT, onnx_file_push_int, attribute);
            break;
        case STRINGS:
            attribute->string_count++;
            break;
        case REFERENCE:
            attribute->reference = onnx_wire_text(reader, &field);
            break;
        }
    }
}

static void onnx_file_read_node(struct onnx_walk *walk, struct onnx_wire wire, struct onnx_node *node)
{
    enum { INPUT = 1, OUTPUT = 2, NAME = 3, KIND = 4, ATTRIBUTE = 5, DOMAIN = 7 };
    struct onnx_reader *reader = &walk->reader;
    struct onnx_field field;
    const uint8_t *start = wire.at;
    while (onnx_wire_next(reader, &wire, &field)) {
        switch (field.number) {
        case INPUT:
            VECTOR_PUSH(&node->inputs, onnx_wire_text(reader, &field));
            break;
        case OUTPUT:
            VECTOR_PUSH(&node->outputs, onnx_wire_text(reader, &field));
            break;
        case NAME:
            node->name = onnx_wire_text(reader, &field);
            break;
        case KIND:
            node->kind = onnx_wire_text(reader, &field);
            break;
        case ATTRIBUTE:
            VECTOR_PUSH(&node->attributes, (struct onnx_attribute){.name = ""});
            onnx_file_read_attribute(walk, onnx_wire_message(reader, &field),
                                     &node->attributes.at[node->attributes.count - 1]);
            break;
        case DOMAIN:
            node->domain = onnx_wire_text(reader, &field);
            break;
        }
    }
    if (!*node->kind)
        onnx_wire_error(reader, start, "a node does not say which operator it is (op_type)");
}

static void onnx_file_read_graph(struct onnx_walk *walk, struct onnx_wire wire, struct onnx_graph *graph)
{
    enum { NODE = 1, NAME = 2, WEIGHT = 5, INPUT = 11, OUTPUT = 12, VALUE = 13, SPARSE = 15 };
    struct onnx_reader *reader = &walk->reader;
    struct onnx_field field;
    struct onnx_tensor tensor;
    graph->name = "";
    while (onnx_wire_next(reader, &wire, &field)) {
        switch (field.number) {
        case NODE: {
            struct onnx_node node = {.name = "", .kind = "", .domain = ""};
            onnx_file_read_node(walk, onnx_wire_message(reader, &field), &node);
            VECTOR_PUSH(&graph->nodes, node);
            break;
        }
        case NAME:
            graph->name = onnx_wire_text(reader, &field);
            break;
        case WEIGHT:
            onnx_file_read_tensor(reader, onnx_wire_message(reader, &field), &tensor);
            VECTOR_PUSH(&graph->weights, tensor);
            break;
        case SPARSE:
            onnx_file_read_sparse(reader, onnx_wire_message(reader, &field), &tensor);
            VECTOR_PUSH(&graph->weights, tensor);
            break;
        case INPUT:
            VECTOR_PUSH(&graph->inputs, onnx_declared_read(reader, onnx_wire_message(reader, &field)));
            break;
        case OUTPUT:
            VECTOR_PUSH(&graph->outputs, onnx_declared_read(reader, onnx_wire_message(reader, &field)));
            break;
        case VALUE:
            VECTOR_PUSH(&graph->values, onnx_declared_read(reader, onnx_wire_message(reader, &field)));
            break;
        }
    }
}

/* ---- the file ---- */

static void onnx_file_read_opset(struct onnx_walk *walk, struct onnx_wire wire)
{
    const char *domain = "";
    int64_t version = 0;
    struct onnx_field field;
    while (onnx_wire_next(&walk->reader, &wire, &field)) {
        if (field.number == 1)
            domain = onnx_wire_text(&walk->reader, &field);
        else if (field.number == 2)
            version = onnx_wire_integer(&walk->reader, &field);
    }
    if (!*domain || strcmp(domain, "ai.onnx") == 0)
        walk->file->opset = version;
}

/* A function of the file (FunctionProto), kept as a graph whose inputs and outputs have only names. */
static void onnx_file_read_function(struct onnx_walk *walk, struct onnx_wire wire)
{
    enum { NAME = 1, INPUT = 4, OUTPUT = 5, NODE = 7, DOMAIN = 10, DEFAULT = 11 };
    struct onnx_reader *reader = &walk->reader;
    struct onnx_field field;
    struct onnx_function function = {.domain = "", .graph = ARENA_NEW(reader->arena, struct onnx_graph)};
    struct onnx_graph *graph = function.graph;
    VECTOR_PUSH(&walk->file->inner, graph);
    graph->name = "";
    while (onnx_wire_next(reader, &wire, &field)) {
        struct onnx_node node = {.name = "", .kind = "", .domain = ""};
        if (field.number == NAME) {
            graph->name = onnx_wire_text(reader, &field);
        } else if (field.number == INPUT) {
            VECTOR_PUSH(&graph->inputs, (struct onnx_declared){.name = onnx_wire_text(reader, &field)});
        } else if (field.number == OUTPUT) {
            VECTOR_PUSH(&graph->outputs, (struct onnx_declared){.name = onnx_wire_text(reader, &field)});
        } else if (field.number == NODE) {
            onnx_file_read_node(walk, onnx_wire_message(reader, &field), &node);
            VECTOR_PUSH(&graph->nodes, node);
        } else if (field.number == DOMAIN) {
            function.domain = onnx_wire_text(reader, &field);
        } else if (field.number == DEFAULT) {
            VECTOR_PUSH(&graph->defaults, (struct onnx_attribute){.name = ""});
            onnx_file_read_attribute(walk, onnx_wire_message(reader, &field),
                                     &graph->defaults.at[graph->defaults.count - 1]);
        }
    }
    VECTOR_PUSH(&walk->file->functions, function);
}

bool onnx_file_read(struct onnx_file *file, struct report *report, struct arena *arena, const char *name,
                    const uint8_t *bytes, size_t size)
{
    enum { IR = 1, PRODUCER = 2, GRAPH = 7, OPSET = 8, FUNCTION = 25 };
    uint32_t errors = report->errors;
    struct onnx_walk walk = {.reader = {report, arena, name, bytes}, .file = file};
    struct onnx_wire wire = {bytes, bytes + size};
    struct onnx_field field;
    bool graph = false;
    file->producer = "";
    while (report->errors == errors && onnx_wire_next(&walk.reader, &wire, &field)) {
        if (field.number == IR)
            file->ir = onnx_wire_integer(&walk.reader, &field);
        else if (field.number == PRODUCER)
            file->producer = onnx_wire_text(&walk.reader, &field);
        else if (field.number == OPSET)
            onnx_file_read_opset(&walk, onnx_wire_message(&walk.reader, &field));
        else if (field.number == FUNCTION)
            onnx_file_read_function(&walk, onnx_wire_message(&walk.reader, &field));
        else if (field.number == GRAPH && graph)
            onnx_wire_error(&walk.reader, field.data.at, "the file has a second graph");
        else if (field.number == GRAPH)
            onnx_file_read_graph(&walk, onnx_wire_message(&walk.reader, &field), &file->graph);
        graph = graph || field.number == GRAPH;
    }
    if (report->errors == errors && !graph)
        return report_error(report, (struct place){name, 0, 0}, "the file is no ONNX model: it has no graph");
    return report->errors == errors;
}

static bool onnx_file_map(struct onnx_file *file, const char *path)
{
    struct stat status;
    int handle = open(path, O_RDONLY);
    if (handle < 0)
        return false;
    bool good = fstat(handle, &status) == 0 && S_ISREG(status.st_mode);
    if (!good)
        errno = EISDIR;
    file->size = good ? (size_t)status.st_size : 0;
    if (good && file->size) {
        void *bytes = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, handle, 0);
        good = bytes != MAP_FAILED;
        file->bytes = good ? bytes : NULL;
    }
    close(handle);
    return good;
}

bool onnx_file_open(struct onnx_file *file, struct report *report, struct arena *arena, const char *path)
{
    *file = (struct onnx_file){0};
    if (!onnx_file_map(file, path))
        return report_error(report, (struct place){path, 0, 0}, "cannot be read: %s", strerror(errno));
    if (!file->size)
        return report_error(report, (struct place){path, 0, 0}, "the file is empty");
    return onnx_file_read(file, report, arena, path, file->bytes, file->size);
}

static void onnx_file_fini_attribute(struct onnx_attribute *attribute)
{
    VECTOR_FREE(&attribute->ints);
    VECTOR_FREE(&attribute->floats);
}

static void onnx_file_fini_graph(struct onnx_graph *graph)
{
    for (uint32_t a = 0; a < graph->defaults.count; a++)
        onnx_file_fini_attribute(&graph->defaults.at[a]);
    VECTOR_FREE(&graph->defaults);
    for (uint32_t n = 0; n < graph->nodes.count; n++) {
        struct onnx_node *node = &graph->nodes.at[n];
        for (uint32_t a = 0; a < node->attributes.count; a++)
            onnx_file_fini_attribute(&node->attributes.at[a]);
        VECTOR_FREE(&node->inputs);
        VECTOR_FREE(&node->outputs);
        VECTOR_FREE(&node->attributes);
    }
    VECTOR_FREE(&graph->nodes);
    VECTOR_FREE(&graph->weights);
    VECTOR_FREE(&graph->inputs);
    VECTOR_FREE(&graph->outputs);
    VECTOR_FREE(&graph->values);
}

void onnx_file_fini(struct onnx_file *file)
{
    onnx_file_fini_graph(&file->graph);
    for (uint32_t i = 0; i < file->inner.count; i++)
        onnx_file_fini_graph(file->inner.at[i]);
    VECTOR_FREE(&file->inner);
    VECTOR_FREE(&file->functions);
    if (file->bytes)
        munmap((void *)(uintptr_t)file->bytes, file->size);
    *file = (struct onnx_file){0};
}

bool onnx_file_tensor(struct report *report, struct arena *arena, const char *name, const uint8_t *bytes,
                      size_t size, struct onnx_tensor *tensor)
{
    uint32_t errors = report->errors;
    struct onnx_reader reader = {report, arena, name, bytes};
    onnx_file_read_tensor(&reader, (struct onnx_wire){bytes, bytes + size}, tensor);
    return report->errors == errors;
}
