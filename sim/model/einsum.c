/* Einsum and reduce: sums of products, and sums or maxima, over any dimensions. */
#include "model/builder.h"

#include <stddef.h>
#include <string.h>

/* ---- einsum ---- */

struct einsum_keys {
    const char *equation;
};

/* The next word of a term, or NULL at its end (',' or "->" or the end of the text). */
static const char *einsum_word(struct builder *builder, const char **at)
{
    while (**at == ' ')
        ++*at;
    size_t length = strcspn(*at, " ,-");
    const char *word = arena_format(&builder->input->arena, "%.*s", (int)length, *at);
    *at += length;
    return length ? word : NULL;
}

static int8_t einsum_dim(struct builder *builder, struct layer_op *op, const char *word, uint64_t size)
{
    uint32_t name = builder_name(builder, word);
    for (uint32_t i = 0; i < op->dim_count; i++)
        if (op->dims[i].names[0] == name)
            return op->dims[i].size == size ? (int8_t)i : (int8_t)-1;
    return builder_dim_labelled(builder, op, size, builder_label(builder, word));
}

static bool einsum_operand(struct builder *builder, struct layer_op *op, uint32_t index, const char **at)
{
    struct tensor x = builder_input(builder, index);
    struct operand *operand = builder_operand(builder, op, builder->inputs[index]);
    const char *word;
    uint32_t count = 0;
    operand->saved = true;
    for (; (word = einsum_word(builder, at)); count++) {
        if (count >= x.rank)
            break;
        if (strcmp(word, "1") == 0 && x.dims[count].size == 1)
            continue;
        operand->dims[count].dim = einsum_dim(builder, op, word, x.dims[count].size);
        if (operand->dims[count].dim < 0)
            return builder_error(builder, "has '%s' with two sizes; '%s' gives %s", word,
                                 names_text(builder->model->names, x.name), builder_describe(builder, &x));
    }
    return count == x.rank ||
           builder_error(builder, "names %s%u dimensions of '%s', which gives %s",
                         count > x.rank ? "more than " : "", count, names_text(builder->model->names, x.name),
                         builder_describe(builder, &x));
}

static bool einsum_output(struct builder *builder, struct layer_op *op, const char *at)
{
    struct operand *output = builder_output(builder, op);
    const char *word;
    while ((word = einsum_word(builder, &at))) {
        int8_t dim = -1;
        for (uint32_t i = 0; i < op->dim_count; i++)
            if (op->dims[i].names[0] == builder_name(builder, word))
                dim = (int8_t)i;
        if (dim < 0)
            return builder_error(builder, "gives a dimension '%s' that no input has", word);
        builder_extend(builder, op, output, op->dims[dim].names[0], dim);
    }
    return !*at || builder_error(builder, "has an equation that does not end after its output");
}

static bool einsum_build(struct builder *builder, const void *values)
{
    const struct einsum_keys *keys = values;
    const char *at = keys->equation;
    if (!builder_want_inputs(builder, 1, OPERATOR_OPERANDS))
        return false;
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "");
    for (uint32_t i = 0; i < builder->input_count; i++) {
        if (!einsum_operand(builder, op, i, &at))
            return false;
        bool last = i + 1 == builder->input_count;
        if (last ? strncmp(at, "->", 2) != 0 : *at != ',')
            return builder_error(builder, "has an equation with another number of terms than its %u input%s",
                                 builder->input_count, builder->input_count == 1 ? "" : "s");
        at += last ? 2 : 1;
    }
    return einsum_output(builder, op, at);
}

static const struct field einsum_fields[] = {
    {"equation", FIELD_TEXT, offsetof(struct einsum_keys, equation), .required = true,
     .about = "a name for each dimension of the inputs, then those of the output: "
              "`b g s d, b g t d -> b g s t`; 1 for a dimension of size 1 that is stretched"},
};

const struct layer_kind einsum_layer = {
    .name = "einsum",
    .about = "sum of products of its inputs over the dimensions that the output lacks",
    .fields = einsum_fields,
    .field_count = FIELDS_COUNT(einsum_fields),
    .build = einsum_build,
    .keys_size = sizeof(struct einsum_keys),
};

/* ---- reduce ---- */

enum einsum_reduce_function { EINSUM_REDUCE_SUM, EINSUM_REDUCE_MAX };
static const char *const einsum_reduce_functions[] = {"sum", "max", NULL};

struct einsum_reduce_keys {
    const char *over;
    int function;
    bool keep;
    int64_t flops;
};

static bool einsum_reduce_over(struct builder *builder, const struct tensor *x, const char *at,
                               uint32_t *bits)
{
    const char *word;
    *bits = 0;
    while ((word = einsum_word(builder, &at))) {
        int dim = builder_find(builder, x, word);
        if (dim < 0)
            return builder_error(builder, "is over '%s', but its input has only %s", word,
                                 builder_describe(builder, x));
        *bits |= 1u << dim;
    }
    return !*at || builder_error(builder, "expects labels between spaces in `over`");
}

static bool einsum_reduce_build(struct builder *builder, const void *values)
{
    const struct einsum_reduce_keys *keys = values;
    uint32_t bits;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor x = builder_input(builder, 0);
    if (!einsum_reduce_over(builder, &x, keys->over, &bits))
        return false;
    struct layer_op *op = builder_operator(builder, OPERATOR_POOL, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    op->flops_per_point = (double)keys->flops;
    op->linear = keys->function == EINSUM_REDUCE_SUM;
    input->saved = op->output_saved = keys->function == EINSUM_REDUCE_MAX;
    for (uint32_t i = 0; i < x.rank; i++) {
        input->dims[i].dim = builder_dim_labelled(builder, op, x.dims[i].size, x.dims[i].label);
        if (!(bits >> i & 1))
            builder_extend(builder, op, output, x.dims[i].label, input->dims[i].dim);
        else if (keys->keep)
            builder_extend_whole(builder, output, x.dims[i].label, 1);
    }
    return true;
}

static const struct field einsum_reduce_fields[] = {
    {"over", FIELD_TEXT, offsetof(struct einsum_reduce_keys, over), .required = true,
     .about = "labels that are summed or compared, with spaces between them"},
    {"op", FIELD_CHOICE, offsetof(struct einsum_reduce_keys, function), .choices = einsum_reduce_functions,
     .about = "sum (also for means) or max; default sum"},
    {"keep", FIELD_FLAG, offsetof(struct einsum_reduce_keys, keep),
     .about = "the output keeps these dimensions, with size 1; default no"},
    {"flops", FIELD_INTEGER, offsetof(struct einsum_reduce_keys, flops), .low = 0, .high = 1e6,
     .about = "FLOPs per element of the input; default 1"},
};
static const struct einsum_reduce_keys einsum_reduce_defaults = {.flops = 1};

const struct layer_kind einsum_reduce_layer = {
    .name = "reduce",
    .about = "sum, mean or maximum over dimensions",
    .fields = einsum_reduce_fields,
    .field_count = FIELDS_COUNT(einsum_reduce_fields),
    .build = einsum_reduce_build,
    .keys_size = sizeof(struct einsum_reduce_keys),
    .defaults = &einsum_reduce_defaults,
};
