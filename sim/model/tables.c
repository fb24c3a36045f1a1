/* Tables of categories, as in recommendation models (Naumov et al. 2019, DLRM, arXiv 1906.00091): many
 * embedding tables of one width and different lengths, and the products between all pairs of features.
 *
 *     E[b,table,d] = sum over p of W[table, id[b,table,p], d],   P[b,table,other] = sum over d of
 * Z[b,table,d] Z[b,other,d].
 *
 * The dimension `table` of the weights is filled with each table's rows, so that a split of it gives whole
 * tables to devices; the pairs are a triangle, other < table. */
#include "model/builder.h"

#include <stddef.h>

struct tables_keys {
    const struct value *rows;
    int64_t out;
};

/* Rows of each table: one number for all, or a list. Returns the largest, 0 after reporting. */
static uint64_t tables_rows(struct builder *builder, const struct value *rows, uint64_t tables,
                            uint64_t *before)
{
    uint64_t largest = 0;
    bool list = rows->kind == VALUE_LIST;
    if (list && rows->count != tables) {
        builder_error(builder, "has %u numbers of rows for %llu tables", rows->count,
                      (unsigned long long)tables);
        return 0;
    }
    for (uint64_t t = 0; t < tables; t++) {
        int64_t count;
        if (!builder_integer(builder, list ? rows->entries[t].value : rows, "rows", 1, &count))
            return 0;
        before[t + 1] = before[t] + (uint64_t)count;
        if ((uint64_t)count > largest)
            largest = (uint64_t)count;
    }
    return largest;
}

static bool tables_build(struct builder *builder, const void *values)
{
    const struct tables_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor ids = builder_input(builder, 0);
    int at = builder_find(builder, &ids, "table");
    if (!ids.discrete || at != 1 || ids.rank > 3)
        return builder_error(builder,
                             "needs discrete identities with dimensions b, table and perhaps one more, over "
                             "which rows are added; '%s' gives %s%s",
                             names_text(builder->model->names, ids.name), builder_describe(builder, &ids),
                             ids.discrete ? "" : ", not `discrete: yes`");
    uint64_t *before;
    struct filling *filling = builder_filling(builder, ids.dims[at].size, 1, &before);
    filling->of = tables_rows(builder, keys->rows, ids.dims[at].size, before);
    if (!filling->of)
        return false;
    struct layer_op *op = builder_operator(builder, OPERATOR_LOOKUP, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    input->saved = true;
    for (uint32_t i = 0; i < ids.rank; i++)
        input->dims[i].dim = builder_dim(builder, op, ids.dims[i].size, ids.dims[i].label, 0, 0);
    uint32_t v_name = builder_name(builder, "v"), d_name = builder_name(builder, "d");
    int8_t v = builder_dim(builder, op, filling->of, v_name, builder_name(builder, "i"), 0);
    int8_t d = builder_dim(builder, op, (uint64_t)keys->out, d_name, builder_name(builder, "o"), 0);
    struct operand *table = builder_parameter(builder, op, "weight");
    builder_extend(builder, op, table, ids.dims[at].label, (int8_t)at);
    builder->model->tensors.at[table->tensor].dims[0].filling = filling;
    builder_extend(builder, op, table, v_name, v);
    builder_extend(builder, op, table, d_name, d);
    struct operand *output = builder_output(builder, op);
    builder_extend(builder, op, output, ids.dims[0].label, 0);
    builder_extend(builder, op, output, ids.dims[at].label, (int8_t)at);
    builder_extend(builder, op, output, d_name, d);
    return true;
}

static const struct field tables_fields[] = {
    {"rows", FIELD_VALUE, offsetof(struct tables_keys, rows), .required = true,
     .about = "rows of each table: a list, or one number for all"},
    {"out", FIELD_INTEGER, offsetof(struct tables_keys, out), .required = true, .low = 1, .high = 1e9,
     .about = "elements of a row"},
};

const struct layer_kind tables_layer = {
    .name = "tables",
    .about = "embedding tables of different lengths, one row of each per sample, or the sum of several",
    .fields = tables_fields,
    .field_count = FIELDS_COUNT(tables_fields),
    .build = tables_build,
    .keys_size = sizeof(struct tables_keys),
};

/* The features under another name: what each is multiplied with. */
static uint32_t tables_others(struct builder *builder, const struct tensor *z, uint32_t other)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_VIEW, KERNEL_MEMORY, "other");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    for (uint32_t i = 0; i < z->rank; i++) {
        uint32_t label = i == 1 ? other : z->dims[i].label;
        input->dims[i].dim =
            builder_dim(builder, op, z->dims[i].size, z->dims[i].label, i == 1 ? other : 0, 0);
        builder_extend(builder, op, output, label, input->dims[i].dim);
    }
    return builder_newest(builder);
}

/* Every pair once: feature `table` with each `other` before it. */
static bool tables_pairs_build(struct builder *builder, const void *keys)
{
    (void)keys;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor z = builder_input(builder, 0);
    if (z.rank != 3 || builder_find(builder, &z, "b") != 0)
        return builder_error(builder, "multiplies features: an input with dimensions b, table, d; it has %s",
                             builder_describe(builder, &z));
    uint64_t count = z.dims[1].size, *before;
    struct filling *filling = builder_filling(builder, count, count, &before);
    for (uint64_t i = 0; i < count; i++)
        before[i + 1] = before[i] + i;
    uint32_t other = builder_name(builder, "other");
    const uint32_t sides[] = {builder->inputs[0], tables_others(builder, &z, other)};
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "");
    int8_t b = builder_dim(builder, op, z.dims[0].size, z.dims[0].label, 0, 0);
    int8_t t = builder_dim(builder, op, count, z.dims[1].label, 0, 0);
    int8_t o = builder_dim(builder, op, count, other, 0, 0);
    int8_t d = builder_dim(builder, op, z.dims[2].size, z.dims[2].label, builder_name(builder, "i"), 0);
    op->dims[t].filling = filling;
    for (int side = 0; side < 2; side++) {
        struct operand *operand = builder_operand(builder, op, sides[side]);
        operand->saved = side == 0; /* the same numbers */
        operand->dims[0].dim = b;
        operand->dims[1].dim = side ? o : t;
        operand->dims[2].dim = d;
    }
    struct operand *output = builder_output(builder, op);
    builder_extend(builder, op, output, z.dims[0].label, b);
    builder_extend(builder, op, output, z.dims[1].label, t);
    builder_extend(builder, op, output, other, o);
    return true;
}

const struct layer_kind tables_pairs_layer = {
    .name = "pairs",
    .about = "products of all pairs of features, each pair once: (b, table, d) gives (b, table, other)",
    .build = tables_pairs_build,
};
