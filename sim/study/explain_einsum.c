#include "study/explain_einsum.h"

#include <string.h>

static bool explain_einsum_parameter(const struct model *model, const struct operator* operator, uint32_t i)
{
    return model->tensors.at[operator->operands[i].tensor].role == TENSOR_PARAMETER;
}

const char *explain_einsum_letter(const struct model *model, const struct operator* operator, uint32_t index,
                                  char buffer[EXPLAIN_LETTER])
{
    uint32_t same = 0, before = 0;
    if (index >= operator->operand_count)
        return "Y";
    bool parameter = explain_einsum_parameter(model, operator, index);
    for (uint32_t i = 0; i < operator->operand_count; i++)
        if (explain_einsum_parameter(model, operator, i) == parameter) {
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

static const char *explain_einsum_dim(const struct model *model, const struct operator* operator, int dim)
{
    return dim < 0 ? "*" : names_text(model->names, operator->dims[dim].names[0]);
}

void explain_einsum_index(const struct model *model, const struct operator* operator,
                          const struct operand * operand, uint32_t dim, FILE *out)
{
    const struct operand_dim *map = &operand->dims[dim];
    if (map->dim >= 0 && map->inner >= 0)
        fprintf(out, "(%s,%s)", explain_einsum_dim(model, operator, map->dim),
                explain_einsum_dim(model, operator, map->inner));
    else
        fprintf(out, "%s", explain_einsum_dim(model, operator, map->dim));
    if (map->dim >= 0 && operand->feedback && operator->dims[map->dim].sequential)
        fprintf(out, "-1");
    if (map->kernel >= 0) {
        if (map->stride > 1)
            fprintf(out, "·%u", map->stride);
        fprintf(out, "+%s", explain_einsum_dim(model, operator, map->kernel));
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
static void explain_einsum_operand(const struct model *model, const struct operator* operator, uint32_t index,
                                   const char *before, FILE *out)
{
    char letter[EXPLAIN_LETTER];
    const struct operand *operand =
        index < operator->operand_count ? &operator->operands[index] : & operator->output;
    fprintf(out, "%s%s[", before, explain_einsum_letter(model, operator, index, letter));
    for (uint32_t d = 0; d < model->tensors.at[operand->tensor].rank; d++) {
        fprintf(out, d ? "," : "");
        explain_einsum_index(model, operator, operand, d, out);
    }
    fprintf(out, "]");
}

/* "(C[b,k] ++ B[b,k-9])" where a cache of earlier positions stands before what is new. */
static void explain_einsum_factor(const struct model *model, const struct operator* operator, uint32_t index,
                                  FILE *out)
{
    uint32_t cache = 0, tensor = operator->operands[index].tensor;
    while (cache < operator->operand_count && (!model->tensors.at[operator->operands[cache].tensor].past ||
                                               model->tensors.at[operator->operands[cache].tensor].cache != tensor))
        cache++;
    bool before = cache < operator->operand_count;
    fprintf(out, before ? "(" : "");
    if (before)
        explain_einsum_operand(model, operator, cache, "", out);
    fprintf(out, before ? " ++ " : "");
    explain_einsum_operand(model, operator, index, "", out);
    fprintf(out, before ? ")" : "");
}

static void explain_einsum_product(const struct model *model, const struct operator* operator, FILE * out)
{
    const char *between = " ";
    bool added = false;
    for (uint32_t i = 0; i < operator->operand_count; i++) {
        if (!operator->operands[i].added)
            continue;
        fprintf(out, added ? " + " : " = ");
        explain_einsum_operand(model, operator, i, "", out);
        added = true;
    }
    fprintf(out, added ? " +" : " +=");
    for (uint32_t d = 0; d < operator->dim_count && added; d++)
        if (!explain_einsum_has(model, &operator->output, (int)d))
            fprintf(out, " Σ%s", explain_einsum_dim(model, operator,(int) d));
    for (uint32_t i = 0; i < operator->operand_count; i++) {
        bool cache = model->tensors.at[operator->operands[i].tensor].past;
        if (operator->operands[i].added || cache)
            continue;
        fprintf(out, "%s", between);
        explain_einsum_factor(model, operator, i, out);
    }
}

/* "W[v,h], v = X[b,s]" */
static void explain_einsum_lookup(const struct model *model, const struct operator* operator, FILE * out)
{
    fprintf(out, " = ");
    for (uint32_t i = 0; i < operator->operand_count; i++)
        if (explain_einsum_parameter(model, operator, i))
            explain_einsum_operand(model, operator, i, "", out);
    for (uint32_t i = 0; i < operator->operand_count; i++) {
        if (explain_einsum_parameter(model, operator, i))
            continue;
        const char *between = ", ";
        for (uint32_t d = 0; d < operator->dim_count; d++)
            if (!explain_einsum_has(model, &operator->output, (int)d)) {
                fprintf(out, "%s%s", between, explain_einsum_dim(model, operator,(int) d));
                between = ",";
            }
        fprintf(out, " = ");
        explain_einsum_operand(model, operator, i, "", out);
    }
}

static const char *explain_einsum_function(const struct model *model, const struct operator* operator)
{
    const char *name = names_text(model->names, operator->name);
    return *name ? name : names_text(model->names, model->layers.at[operator->layer].kind);
}

void explain_einsum_text(const struct model *model, const struct operator* operator, FILE * out)
{
    static const char *const kinds[OPERATOR_KIND_COUNT] = {"einsum", "point-wise", "pool", "look-up", "view"};
    const char *name = names_text(model->names, operator->name);
    fprintf(out, "%s ", kinds[operator->kind]);
    if (*name && operator->kind != OPERATOR_POINTWISE && operator->kind != OPERATOR_POOL)
        fprintf(out, "%s ", name);
    explain_einsum_operand(model, operator, operator->operand_count, "", out);
    if (operator->kind == OPERATOR_EINSUM) {
        explain_einsum_product(model, operator, out);
    } else if (operator->kind == OPERATOR_LOOKUP) {
        explain_einsum_lookup(model, operator, out);
    } else {
        bool view = operator->kind == OPERATOR_VIEW;
        fprintf(out, view ? " = " : " = %s(", explain_einsum_function(model, operator));
        for (uint32_t i = 0; i < operator->operand_count; i++) {
            fprintf(out, i ? ", " : "");
            explain_einsum_operand(model, operator, i, "", out);
        }
        fprintf(out, view ? "" : ")");
    }
}

void explain_einsum_sizes(const struct model *model, const struct operator* operator, FILE * out)
{
    for (uint32_t d = 0; d < operator->dim_count; d++)
        fprintf(out, " %s=%llu", explain_einsum_dim(model, operator,(int) d),
                (unsigned long long)operator->dims[d].size);
}

/* What a gradient that is no product is made from. */
static void explain_einsum_sources(const struct model *model, const struct operator* operator, FILE * out)
{
    fprintf(out, " from ");
    explain_einsum_operand(model, operator, operator->operand_count, "d", out);
    if (operator->output_saved) {
        fprintf(out, ", ");
        explain_einsum_operand(model, operator, operator->operand_count, "", out);
    }
    for (uint32_t i = 0; i < operator->operand_count; i++)
        if (operator->operands[i].saved || model->tensors.at[operator->operands[i].tensor].discrete) {
            fprintf(out, ", ");
            explain_einsum_operand(model, operator, i, "", out);
        }
}

void explain_einsum_gradient(const struct model *model, const struct operator* operator, uint32_t index,
                             FILE *out)
{
    explain_einsum_operand(model, operator, index, "d", out);
    if (operator->kind != OPERATOR_EINSUM) {
        explain_einsum_sources(model, operator, out);
        return;
    }
    fprintf(out, operator->operands[index].added ? " = " : " += ");
    explain_einsum_operand(model, operator, operator->operand_count, "d", out);
    for (uint32_t i = 0; i < operator->operand_count && !operator->operands[index].added; i++) {
        if (i == index || operator->operands[i].added)
            continue;
        fprintf(out, " ");
        explain_einsum_operand(model, operator, i, "", out);
    }
}
