/* Onnx_file: what an .onnx file says (github.com/onnx/onnx, onnx.proto): its graph of nodes over named
 * values, the sizes of its inputs and of its weights. Weights are not read; of tensors of at most
 * ONNX_KNOWN elements the numbers are found when someone asks (the shape that Reshape gives, where Slice
 * starts). Everything lives in the arena of the reader; tensors' bytes stay in the mapped file. */
#ifndef PARTITA_MODEL_ONNX_FILE_H
#define PARTITA_MODEL_ONNX_FILE_H

#include "model/onnx_wire.h"

enum { ONNX_RANK = 12, ONNX_KNOWN = 65536, ONNX_DEPTH = 16 };

/* TensorProto.DataType */
enum onnx_type {
    ONNX_UNDEFINED,
    ONNX_FLOAT,
    ONNX_UINT8,
    ONNX_INT8,
    ONNX_UINT16,
    ONNX_INT16,
    ONNX_INT32,
    ONNX_INT64,
    ONNX_STRING,
    ONNX_BOOL,
    ONNX_FLOAT16,
    ONNX_DOUBLE,
    ONNX_UINT32,
    ONNX_UINT64,
    ONNX_COMPLEX64,
    ONNX_COMPLEX128,
    ONNX_BFLOAT16,
    ONNX_TYPE_COUNT
};

struct onnx_shape {
    uint32_t rank;
    int64_t dims[ONNX_RANK];
};

struct onnx_tensor {
    const char *name;
    int64_t type; /* enum onnx_type, or a later one */
    struct onnx_shape shape;
    struct onnx_wire raw;   /* little-endian elements; or */
    struct onnx_wire field; /* the tensor's message, which has typed lists of numbers */
    bool external, sparse;
};

/* One dimension of an input as the file declares it. */
struct onnx_dim {
    const char *name; /* symbolic; NULL: the size */
    int64_t size;     /* −1: unknown */
};

struct onnx_declared {
    const char *name;
    int64_t type;
    bool shaped; /* a tensor whose rank is said */
    bool tensor; /* false: a sequence, map or optional */
    uint32_t rank;
    struct onnx_dim dims[ONNX_RANK];
};

struct onnx_graph;

struct onnx_attribute {
    const char *name;
    int64_t i;
    double f;
    const char *s;
    VECTOR(int64_t) ints; /* owned by the file: onnx_file_fini() */
    VECTOR(double) floats;
    uint32_t string_count;
    const struct onnx_tensor *t;
    const struct onnx_graph *g;
    const char *reference; /* inside a function: the caller's attribute that stands here; or NULL */
};

struct onnx_node {
    const char *name, *kind, *domain; /* kind: op_type */
    bool silent;                      /* only the shapes that it gives are needed */
    uint32_t origin;                  /* which node of the graph it is, or stands in */
    VECTOR(const char *) inputs;
    VECTOR(const char *) outputs;
    VECTOR(struct onnx_attribute) attributes;
};

struct onnx_graph {
    const char *name;
    VECTOR(struct onnx_node) nodes;
    VECTOR(struct onnx_tensor) weights;
    VECTOR(struct onnx_declared) inputs;
    VECTOR(struct onnx_declared) outputs;
    VECTOR(struct onnx_declared) values;
    VECTOR(struct onnx_attribute) defaults; /* of a function's attributes */
};

/* A node of this domain and of the graph's name as operator stands for the graph. */
struct onnx_function {
    const char *domain;
    struct onnx_graph *graph;
};

struct onnx_file {
    const uint8_t *bytes; /* the mapped file; NULL: none */
    size_t size;
    const char *producer;
    int64_t ir, opset; /* of the standard operators; 0: not said */
    struct onnx_graph graph;
    VECTOR(struct onnx_graph *) inner; /* subgraphs and functions, to release them */
    VECTOR(struct onnx_function) functions;
};

/* Whether a path ends in .onnx. */
bool onnx_file_is(const char *path);

/* Maps and walks a file. Returns false after reporting; onnx_file_fini() in any case. */
bool onnx_file_open(struct onnx_file *file, struct report *report, struct arena *arena, const char *path);
/* The same from memory, which must outlive the file. */
bool onnx_file_read(struct onnx_file *file, struct report *report, struct arena *arena, const char *name,
                    const uint8_t *bytes, size_t size);
void onnx_file_fini(struct onnx_file *file);

/* One TensorProto of its own (a stored input or output of a test). */
bool onnx_file_tensor(struct report *report, struct arena *arena, const char *name, const uint8_t *bytes,
                      size_t size, struct onnx_tensor *tensor);

/* Elements of a shape; −1 beyond 2^60 or with an unknown dimension. */
int64_t onnx_file_elements(const struct onnx_shape *shape);

/* The attribute of a name; NULL when the node has none. */
const struct onnx_attribute *onnx_file_attribute(const struct onnx_node *node, const char *name);

#endif
