/* Softmax and cross-entropy: point-wise work with statistics over the classes. */
#include "model/builder.h"

#include <stddef.h>

struct softmax_keys {
    const char *over;
};

/* The position of the classes: the label `over`, or the last dimension. -1 after reporting. */
static int softmax_over(struct builder *builder, const struct tensor *x, const char *over)
{
    int at = over ? builder_find(builder, x, over) : (int)x->rank - 1;
    if (at < 0)
        builder_error(builder, "is over '%s', but its input has only %s", over ? over : "?",
                      builder_describe(builder, x));
    return at;
}

static bool softmax_build(struct builder *builder, const void *values)
{
    const struct softmax_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor x = builder_input(builder, 0);
    int over = softmax_over(builder, &x, keys->over);
    if (over < 0)
        return false;
    struct layer_op *op = builder_pointwise(builder, builder->inputs[0], "", 6);
    op->normalised = 1u << over;
    op->statistics_forward = 2; /* maximum and sum */
    op->statistics_backward = 1;
    op->output_saved = true;
    return true;
}

static const struct field softmax_fields[] = {
    {"over", FIELD_TEXT, offsetof(struct softmax_keys, over),
     .about = "label of the classes; default: the last"},
};

const struct layer_kind softmax_layer = {
    .name = "softmax",
    .about = "softmax over one dimension",
    .fields = softmax_fields,
    .field_count = FIELDS_COUNT(softmax_fields),
    .build = softmax_build,
    .keys_size = sizeof(struct softmax_keys),
};

struct softmax_loss_keys {
    int type;
    const char *over;
};
static const char *const softmax_loss_types[] = {"cross-entropy", NULL};

/* Over a split vocabulary it exchanges three numbers per position: maximum, sum of exponentials and the
 * target's logit. Its backward pass needs none. */
static bool softmax_loss_build(struct builder *builder, const void *values)
{
    const struct softmax_loss_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor x = builder_input(builder, 0);
    int over = softmax_over(builder, &x, keys->over);
    if (over < 0)
        return false;
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    op->flops_per_point = 7;
    op->training_only = true;
    op->normalised = 1u << over;
    op->statistics_forward = 3;
    op->workspace = 4; /* the logits as fp32 (Korthikanti et al. 2022, section 4.3) */
    input->saved = true;
    for (uint32_t i = 0; i < x.rank; i++) {
        input->dims[i].dim = builder_dim_labelled(builder, op, x.dims[i].size, x.dims[i].label);
        if (i != (uint32_t)over)
            builder_extend(builder, op, output, x.dims[i].label, input->dims[i].dim);
    }
    return true;
}

static const struct field softmax_loss_fields[] = {
    {"type", FIELD_CHOICE, offsetof(struct softmax_loss_keys, type), .choices = softmax_loss_types,
     .about = "cross-entropy"},
    {"over", FIELD_TEXT, offsetof(struct softmax_loss_keys, over),
     .about = "label of the classes; default: the last"},
};

const struct layer_kind softmax_loss_layer = {
    .name = "loss",
    .about = "cross-entropy over one dimension, while training",
    .fields = softmax_loss_fields,
    .field_count = FIELDS_COUNT(softmax_loss_fields),
    .build = softmax_loss_build,
    .keys_size = sizeof(struct softmax_loss_keys),
};
