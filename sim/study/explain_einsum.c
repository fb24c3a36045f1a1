#include "study/explain_einsum.h"

#include <string.h>

static bool explain_einsum_parameter(const struct model *model, const struct layer_op *layer_op, uint32_t i)
{
    return model->tensors.at[layer_op->operands[i].tensor].role == TENSOR_PARAMETER;
}

const char *explain_einsum_letter(const struct model *model, const struct layer_op *layer_op, uint32_t index,
                                  char buffer[EXPLAIN_LETTER])
{
    uint32_t same = 0, before = 0;
    if (index >= layer_op->operand_count)
        return "Y";
    bool parameter = explain_einsum_parameter(model, layer_op, index);
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (explain_einsum_parameter(model, layer_op, i) == parameter) {
            same++;
            before += i < index;
        }
    if (same == 1)
        return parameter ? "W" : "X";
    if (parameter)
        snprintf(buffer, EXPLAIN_LETTER, "W%u", before + 1);
    else
        snprintf(buffer, EXPLAIN_LETTER, "%c", (char)('A' + before));
    return buffer;
}

static const char *explain_einsum_dim(const struct model *model, const struct layer_op *layer_op, int dim)
{
    return dim < 0 ? "*" : names_text(model->names, layer_op->dims[dim].names[0]);
}

void explain_einsum_index(const struct model *model, const struct layer_op *layer_op,
                          const struct operand *operand, uint32_t dim, FILE *out)
{
    const struct operand_dim *map = &operand->dims[dim];
    if (map->dim >= 0 && map->inner >= 0)
        fprintf(out, "(%s,%s)", explain_einsum_dim(model, layer_op, map->dim),
                explain_einsum_dim(model, layer_op, map->inner));
    else
        fprintf(out, "%s", explain_einsum_dim(model, layer_op, map->dim));
    if (map->dim >= 0 && operand->feedback && layer_op->dims[map->dim].sequential)
        fprintf(out, "-1");
    if (map->kernel >= 0) {
        if (map->stride > 1)
            fprintf(out, "·%u", map->stride);
        fprintf(out, "+%s", explain_einsum_dim(model, layer_op, map->kernel));
        if (map->dilation > 1)
            fprintf(out, "·%u", map->dilation);
        if (map->pad)
            fprintf(out, "-%u", map->pad);
    }
    if (map->offset)
        fprintf(out, "-%llu", (unsigned long long)map->offset);
}

bool explain_einsum_has(const struct model *model, const struct operand *operand, int dim)
{
    for (uint32_t d = 0; d < model->tensors.at[operand->tensor].rank; d++)
        if (operand->dims[d].dim == dim || operand->dims[d].inner == dim || operand->dims[d].kernel == dim)
            return true;
    return false;
}

/* "dX[b,i]"; `before` is "d" or "". */
static void explain_einsum_operand(const struct model *model, const struct layer_op *layer_op, uint32_t index,
                                   const char *before, FILE *out)
{
    char letter[EXPLAIN_LETTER];
    const struct operand *operand =
        index < layer_op->operand_count ? &layer_op->operands[index] : &layer_op->output;
    fprintf(out, "%s%s[", before, explain_einsum_letter(model, layer_op, index, letter));
    for (uint32_t d = 0; d < model->tensors.at[operand->tensor].rank; d++) {
        fprintf(out, d ? "," : "");
        explain_einsum_index(model, layer_op, operand, d, out);
    }
    fprintf(out, "]");
}

/* "(C[b,k] ++ B[b,k-9])" where a cache of earlier positions stands before what is new. */
static void explain_einsum_factor(const struct model *model, const struct layer_op *layer_op, uint32_t index,
                                  FILE *out)
{
    uint32_t cache = 0, tensor = layer_op->operands[index].tensor;
    while (cache < layer_op->operand_count &&
           (!model->tensors.at[layer_op->operands[cache].tensor].past ||
            model->tensors.at[layer_op->operands[cache].tensor].cache != tensor))
        cache++;
    bool before = cache < layer_op->operand_count;
    fprintf(out, before ? "(" : "");
    if (before)
        explain_einsum_operand(model, layer_op, cache, "", out);
    fprintf(out, before ? " ++ " : "");
    explain_einsum_operand(model, layer_op, index, "", out);
    fprintf(out, before ? ")" : "");
}

static void explain_einsum_product(const struct model *model, const struct layer_op *layer_op, FILE *out)
{
    const char *between = " ";
    bool added = false;
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        if (!layer_op->operands[i].added)
            continue;
        fprintf(out, added ? " + " : " = ");
        explain_einsum_operand(model, layer_op, i, "", out);
        added = true;
    }
    fprintf(out, added ? " +" : " +=");
    for (uint32_t d = 0; d < layer_op->dim_count && added; d++)
        if (!explain_einsum_has(model, &layer_op->output, (int)d))
            fprintf(out, " Σ%s", explain_einsum_dim(model, layer_op, (int)d));
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        bool cache = model->tensors.at[layer_op->operands[i].tensor].past;
        if (layer_op->operands[i].added || cache)
            continue;
        fprintf(out, "%s", between);
        explain_einsum_factor(model, layer_op, i, out);
    }
}

/* "W[v,h], v = X[b,s]" */
static void explain_einsum_lookup(const struct model *model, const struct layer_op *layer_op, FILE *out)
{
    fprintf(out, " = ");
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (explain_einsum_parameter(model, layer_op, i))
            explain_einsum_operand(model, layer_op, i, "", out);
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        if (explain_einsum_parameter(model, layer_op, i))
            continue;
        const char *between = ", ";
        for (uint32_t d = 0; d < layer_op->dim_count; d++)
            if (!explain_einsum_has(model, &layer_op->output, (int)d)) {
                fprintf(out, "%s%s", between, explain_einsum_dim(model, layer_op, (int)d));
                between = ",";
            }
        fprintf(out, " = ");
        explain_einsum_operand(model, layer_op, i, "", out);
    }
}

static const char *explain_einsum_function(const struct model *model, const struct layer_op *layer_op)
{
    const char *name = names_text(model->names, layer_op->name);
    return *name ? name : names_text(model->names, model->layers.at[layer_op->layer].kind);
}

void explain_einsum_text(const struct model *model, const struct layer_op *layer_op, FILE *out)
{
    static const char *const kinds[OPERATOR_KIND_COUNT] = {"einsum", "point-wise", "pool", "look-up", "view"};
    const char *name = names_text(model->names, layer_op->name);
    fprintf(out, "%s ", kinds[layer_op->kind]);
    if (*name && layer_op->kind != OPERATOR_POINTWISE && layer_op->kind != OPERATOR_POOL)
        fprintf(out, "%s ", name);
    explain_einsum_operand(model, layer_op, layer_op->operand_count, "", out);
    if (layer_op->kind == OPERATOR_EINSUM) {
        explain_einsum_product(model, layer_op, out);
    } else if (layer_op->kind == OPERATOR_LOOKUP) {
        explain_einsum_lookup(model, layer_op, out);
    } else {
        bool view = layer_op->kind == OPERATOR_VIEW;
        fprintf(out, view ? " = " : " = %s(", explain_einsum_function(model, layer_op));
        for (uint32_t i = 0; i < layer_op->operand_count; i++) {
            fprintf(out, i ? ", " : "");
            explain_einsum_operand(model, layer_op, i, "", out);
        }
        fprintf(out, view ? "" : ")");
    }
}

void explain_einsum_sizes(const struct model *model, const struct layer_op *layer_op, FILE *out)
{
    for (uint32_t d = 0; d < layer_op->dim_count; d++)
        fprintf(out, " %s=%llu", explain_einsum_dim(model, layer_op, (int)d),
                (unsigned long long)layer_op->dims[d].size);
}

/* What a gradient that is no product is made from. */
static void explain_einsum_sources(const struct model *model, const struct layer_op *layer_op, FILE *out)
{
    fprintf(out, " from ");
    explain_einsum_operand(model, layer_op, layer_op->operand_count, "d", out);
    if (layer_op->output_saved) {
        fprintf(out, ", ");
        explain_einsum_operand(model, layer_op, layer_op->operand_count, "", out);
    }
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (layer_op->operands[i].saved || model->tensors.at[layer_op->operands[i].tensor].discrete) {
            fprintf(out, ", ");
            explain_einsum_operand(model, layer_op, i, "", out);
        }
}

void explain_einsum_gradient(const struct model *model, const struct layer_op *layer_op, uint32_t index,
                             FILE *out)
{
    explain_einsum_operand(model, layer_op, index, "d", out);
    if (layer_op->kind != OPERATOR_EINSUM) {
        explain_einsum_sources(model, layer_op, out);
        return;
    }
    fprintf(out, layer_op->operands[index].added ? " = " : " += ");
    explain_einsum_operand(model, layer_op, layer_op->operand_count, "d", out);
    for (uint32_t i = 0; i < layer_op->operand_count && !layer_op->operands[index].added; i++) {
        if (i == index || layer_op->operands[i].added)
            continue;
        fprintf(out, " ");
        explain_einsum_operand(model, layer_op, i, "", out);
    }
}
