/* Interpreter: computes one operator, forward or backward, on full-size arrays, point by point from its index
 * maps. A number that is not there is NaN; whatever reads it becomes NaN. Activations stand for any
 * nonlinear function (sin z + z/2; the gates of recurrent layers are real), norms for any function with
 * statistics (x / sqrt(1 + mean square)). */
#ifndef PARTITA_TESTS_INTERPRETER_H
#define PARTITA_TESTS_INTERPRETER_H

#include "cell.h"

#include "model/model.h"
#include "plan/causal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum flavour {
    FLAVOUR_PRODUCT_SUM, /* einsum */
    FLAVOUR_MAX,
    FLAVOUR_AVERAGE,
    FLAVOUR_COPY,
    FLAVOUR_REORG,
    FLAVOUR_LOOKUP,
    FLAVOUR_SUM, /* of the operands that have the point, then perhaps an activation */
    FLAVOUR_PRODUCT,
    FLAVOUR_CELL,
    FLAVOUR_ROTARY,
    FLAVOUR_NORM,
    FLAVOUR_SOFTMAX,
    FLAVOUR_LOSS,
    FLAVOUR_ROUTE,   /* softmax, of which the k largest stay that find a place */
    FLAVOUR_DISPATCH /* a copy where the second operand is not 0 */
};

/* One operator on one member. Arrays have the whole tensor's size. */
struct evaluation {
    const struct model *model;
    const struct layer_op *op;
    struct interval share[OPERATOR_DIMS];
    const double *in[OPERATOR_OPERANDS];
    const double *statistics[OPERATOR_OPERANDS]; /* what statistics are computed from: own and others' */
    double *out;
    const double *dy, *dy_statistics;
    double *gradient[OPERATOR_OPERANDS]; /* NULL: not wanted; added to */
    bool training;
    bool adds;            /* it is this member that adds what an einsum is added to */
    uint32_t balanced;    /* in how many shares the sequence is dealt out */
    double visited;       /* points that were not masked */
    enum flavour flavour; /* set by evaluation_prepare() */
    bool active;
};

static inline const char *evaluation_kind(const struct evaluation *e)
{
    return names_text(e->model->names, e->model->layers.at[e->op->layer].kind);
}

static inline enum flavour evaluation_flavour(const struct evaluation *e)
{
    const char *kind = evaluation_kind(e), *name = names_text(e->model->names, e->op->name);
    const char *last = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
    switch (e->op->kind) {
    case OPERATOR_EINSUM:
        return FLAVOUR_PRODUCT_SUM;
    case OPERATOR_POOL:
        return e->op->linear ? FLAVOUR_AVERAGE : FLAVOUR_MAX;
    case OPERATOR_LOOKUP:
        return FLAVOUR_LOOKUP;
    case OPERATOR_VIEW:
        return strcmp(kind, "reorg") == 0 ? FLAVOUR_REORG : FLAVOUR_COPY;
    default:
        break;
    }
    if (strcmp(name, "gates") == 0)
        return FLAVOUR_CELL;
    if (strcmp(kind, "norm") == 0)
        return FLAVOUR_NORM;
    if (strcmp(kind, "loss") == 0)
        return FLAVOUR_LOSS;
    if (strcmp(kind, "softmax") == 0 || strcmp(name, "softmax") == 0)
        return FLAVOUR_SOFTMAX;
    if (strcmp(kind, "multiply") == 0 || strcmp(kind, "glu") == 0)
        return FLAVOUR_PRODUCT;
    if (strcmp(name, "route") == 0 || strcmp(name, "dispatch") == 0)
        return *name == 'r' ? FLAVOUR_ROUTE : FLAVOUR_DISPATCH;
    if (strcmp(name, "combine") == 0 || strcmp(last, "glu") == 0 || strcmp(last, "gated") == 0)
        return FLAVOUR_PRODUCT;
    return strcmp(kind, "rotary") == 0 ? FLAVOUR_ROTARY : FLAVOUR_SUM;
}

static inline bool evaluation_active(const struct evaluation *e)
{
    return (e->op->fused && !e->op->additive) || strcmp(evaluation_kind(e), "act") == 0;
}

static inline void evaluation_prepare(struct evaluation *e)
{
    e->flavour = evaluation_flavour(e);
    e->active = evaluation_active(e);
}

static inline size_t evaluation_elements(const struct tensor *tensor)
{
    size_t elements = 1;
    for (uint32_t d = 0; d < tensor->rank; d++)
        elements *= tensor->dims[d].size;
    return elements;
}

/* Where a point stands in an operand: first element, and how many more at which distance when a dimension is
 * not indexed. */
struct spot {
    size_t at, count, stride;
};

/* False: outside (padding, or another operand's part of a concatenation). */
static inline bool evaluation_spot(const struct evaluation *e, const struct operand *operand,
                                   const uint64_t *point, struct spot *spot)
{
    const struct tensor *tensor = &e->model->tensors.at[operand->tensor];
    *spot = (struct spot){0, 1, 0};
    for (uint32_t d = 0; d < tensor->rank; d++) {
        const struct operand_dim *map = &operand->dims[d];
        int64_t size = (int64_t)tensor->dims[d].size, i = 0;
        spot->at *= (size_t)size;
        spot->stride *= (size_t)size;
        if (map->dim < 0) {
            spot->count = (size_t)size;
            spot->stride = 1;
            continue;
        }
        i = (int64_t)point[map->dim];
        if (map->kernel >= 0)
            i = i * map->stride + (int64_t)point[map->kernel] * map->dilation - map->pad;
        else if (map->inner >= 0)
            i = i * (int64_t)e->op->dims[map->inner].size + (int64_t)point[map->inner];
        i -= (int64_t)map->offset;
        if (i < 0 || i >= size)
            return false;
        spot->at += (size_t)i;
    }
    return true;
}

/* The sum over what is not indexed; 0 outside. */
static inline double evaluation_read(const struct evaluation *e, const double *const *arrays, uint32_t i,
                                     const uint64_t *point)
{
    struct spot spot;
    double sum = 0;
    if (!evaluation_spot(e, &e->op->operands[i], point, &spot))
        return 0;
    for (size_t k = 0; k < spot.count; k++)
        sum += arrays[i][spot.at + k * spot.stride];
    return sum;
}

/* What an operand of a product has at a point: of a new key or value, what the cache beside it has where the
 * point is an earlier position. */
static inline double evaluation_factor(const struct evaluation *e, const double *const *arrays, uint32_t i,
                                       const uint64_t *point)
{
    const struct tensor *tensors = e->model->tensors.at;
    double x = evaluation_read(e, arrays, i, point);
    for (uint32_t j = 0; j < e->op->operand_count; j++)
        if (tensors[e->op->operands[j].tensor].past &&
            tensors[e->op->operands[j].tensor].cache == e->op->operands[i].tensor)
            x += evaluation_read(e, arrays, j, point);
    return tensors[e->op->operands[i].tensor].past ? 1 : x;
}

static inline void evaluation_give(const struct evaluation *e, uint32_t i, const uint64_t *point,
                                   double value)
{
    struct spot spot;
    if (!e->gradient[i] || !evaluation_spot(e, &e->op->operands[i], point, &spot))
        return;
    for (size_t k = 0; k < spot.count; k++)
        e->gradient[i][spot.at + k * spot.stride] += value;
}

/* The output's index of a point (for a reorg, c' = (ky, kx, c)). */
static inline size_t evaluation_output(const struct evaluation *e, const uint64_t *point)
{
    struct spot spot;
    bool inside = evaluation_spot(e, &e->op->output, point, &spot);
    if (!inside)
        abort();
    if (e->flavour == FLAVOUR_REORG) {
        const struct operand_dim *in = e->op->operands[0].dims;
        uint64_t kx = e->op->dims[in[3].inner].size;
        spot.at += ((point[in[2].inner] * kx + point[in[3].inner]) * e->op->dims[in[1].dim].size +
                    point[in[1].dim]) *
                   spot.stride;
    }
    return spot.at;
}

/* Whether anything exists at a point (partly filled dimensions may have nothing at an index). */
static inline bool evaluation_exists(const struct evaluation *e, const uint64_t *point)
{
    for (uint32_t d = 0; d < e->op->dim_count; d++) {
        const struct filling *filling = e->op->dims[d].filling;
        if (filling && filling->before[point[d] + 1] == filling->before[point[d]])
            return false;
    }
    return true;
}

/* Whether a key is after its query, or before its window. */
static inline bool evaluation_masked(const struct evaluation *e, const uint64_t *point)
{
    if (!e->op->causal)
        return false;
    uint64_t length = e->op->dims[e->op->query].size;
    uint64_t key = causal_position(point[e->op->key], length, e->balanced);
    uint64_t query = causal_position(point[e->op->query], length, e->balanced);
    return key > query || (e->op->window && key + e->op->window <= query);
}

/* Calls once per point of the given share that is not masked. */
typedef void evaluation_visitor(struct evaluation *e, const uint64_t *point, void *state);

static inline void evaluation_visit(struct evaluation *e, const struct interval *share,
                                    evaluation_visitor *visitor, void *state)
{
    uint64_t point[OPERATOR_DIMS];
    for (uint32_t d = 0; d < e->op->dim_count; d++) {
        if (share[d].low >= share[d].high)
            return;
        point[d] = share[d].low;
    }
    for (;;) {
        if (evaluation_exists(e, point) && !evaluation_masked(e, point)) {
            visitor(e, point, state);
            e->visited++;
        }
        uint32_t d = e->op->dim_count;
        while (d > 0 && ++point[d - 1] == share[d - 1].high) {
            point[d - 1] = share[d - 1].low;
            d--;
        }
        if (d == 0)
            return;
    }
}

/* ---- statistics over normalised dimensions, per point of the others ---- */

struct sums {
    double *first, *second, *third; /* per row; which sum depends on the flavour */
    double normalised;              /* points per row */
};

static inline size_t evaluation_row(const struct evaluation *e, const uint64_t *point)
{
    size_t row = 0;
    for (uint32_t d = 0; d < e->op->dim_count; d++)
        if (!(e->op->normalised >> d & 1))
            row = row * e->op->dims[d].size + point[d];
    return row;
}

/* z: what a softmax or loss is over. */
static inline double evaluation_z(const struct evaluation *e, const double *const *arrays,
                                  const uint64_t *point)
{
    double z = 0;
    for (uint32_t i = 0; i < e->op->operand_count; i++)
        z += evaluation_read(e, arrays, i, point);
    return z;
}

static inline double evaluation_scale(const struct evaluation *e, const double *const *arrays,
                                      const uint64_t *point)
{
    return e->op->operand_count > 1 ? evaluation_read(e, arrays, 1, point) : 1;
}

static inline bool evaluation_first(const struct evaluation *e, const uint64_t *point)
{
    for (uint32_t d = 0; d < e->op->dim_count; d++)
        if (e->op->normalised >> d & 1 && point[d])
            return false;
    return true;
}

/* The filling of a mixture's experts: of the operator that sends the tokens, in the same layer. */
static inline const struct filling *evaluation_experts(const struct evaluation *e)
{
    for (const struct layer_op *op = e->op;; op++)
        for (uint32_t d = 0; d < op->dim_count; d++)
            if (op->dims[d].filling)
                return op->dims[d].filling;
}

/* Whether a token is among the k for which an expert's score is largest. */
static inline bool evaluation_chooses(const struct evaluation *e, const uint64_t *point, uint32_t k)
{
    uint64_t other[OPERATOR_DIMS];
    uint32_t last = e->op->dim_count - 1, above = 0;
    double z = evaluation_z(e, e->in, point);
    memcpy(other, point, sizeof other);
    for (other[last] = 0; other[last] < e->op->dims[last].size; other[last]++) {
        double w = evaluation_z(e, e->in, other);
        above += w > z || (w == z && other[last] < point[last]);
    }
    return above < k;
}

/* 1 where a token is sent to an expert: it is one of its k, and (with a capacity) fewer than `places` tokens
 * of its sample came before it. The scores of the sample must all be there. */
static inline double evaluation_sent(const struct evaluation *e, const uint64_t *point)
{
    const struct filling *filling = evaluation_experts(e);
    uint64_t earlier[OPERATOR_DIMS], before = 0;
    if (!evaluation_chooses(e, point, filling->chosen))
        return 0;
    if (e->op->dim_count < 3 || !e->op->dims[1].opaque)
        return 1;
    memcpy(earlier, point, sizeof earlier);
    for (earlier[1] = 0; earlier[1] < point[1]; earlier[1]++) {
        before += evaluation_chooses(e, earlier, filling->chosen);
        if (isnan(evaluation_z(e, e->in, earlier)))
            return NAN;
    }
    return before < filling->before[1] / e->op->dims[0].size;
}

static inline void evaluation_sum_forward(struct evaluation *e, const uint64_t *point, void *state)
{
    struct sums *sums = state;
    size_t row = evaluation_row(e, point);
    if (e->flavour == FLAVOUR_NORM) {
        double x = evaluation_read(e, e->statistics, 0, point);
        sums->first[row] += x * x;
        return;
    }
    double z = evaluation_z(e, e->statistics, point);
    sums->first[row] += exp(z);
    if (evaluation_first(e, point))
        sums->third[row] = z;
}

static inline void evaluation_sum_backward(struct evaluation *e, const uint64_t *point, void *state)
{
    struct sums *sums = state;
    size_t row = evaluation_row(e, point);
    if (e->flavour == FLAVOUR_LOSS)
        return;
    double dy = e->dy_statistics[evaluation_output(e, point)];
    if (e->flavour == FLAVOUR_NORM)
        sums->second[row] +=
            dy * evaluation_scale(e, e->statistics, point) * evaluation_read(e, e->statistics, 0, point);
    else
        sums->second[row] += dy * exp(evaluation_z(e, e->statistics, point)) / sums->first[row] *
                             (e->flavour == FLAVOUR_ROUTE ? evaluation_sent(e, point) : 1);
}

static inline void evaluation_statistics(struct evaluation *e, bool backward, struct sums *sums)
{
    struct interval share[OPERATOR_DIMS];
    size_t rows = 1;
    sums->normalised = 1;
    for (uint32_t d = 0; d < e->op->dim_count; d++) {
        bool normalised = e->op->normalised >> d & 1;
        share[d] = normalised ? (struct interval){0, e->op->dims[d].size} : e->share[d];
        rows *= normalised ? 1 : e->op->dims[d].size;
        sums->normalised *= normalised ? (double)e->op->dims[d].size : 1;
    }
    sums->first = calloc(rows, sizeof(double));
    sums->second = calloc(rows, sizeof(double));
    sums->third = calloc(rows, sizeof(double));
    if (e->op->statistics_local && !e->training)
        return; /* running statistics */
    evaluation_visit(e, share, evaluation_sum_forward, sums);
    if (backward)
        evaluation_visit(e, share, evaluation_sum_backward, sums);
}

static inline void evaluation_release(struct sums *sums)
{
    free(sums->first);
    free(sums->second);
    free(sums->third);
}

/* ---- forward ---- */

/* The iteration dimension of a table's rows: its weight has it, its output has not. */
static inline int evaluation_rows(const struct evaluation *e)
{
    const struct operand *table = &e->op->operands[1];
    for (uint32_t d = 0;; d++) {
        bool given = false;
        for (uint32_t o = 0; o < TENSOR_DIMS; o++)
            given |= e->op->output.dims[o].dim == table->dims[d].dim;
        if (!given)
            return table->dims[d].dim;
    }
}

static inline double evaluation_turned(const struct evaluation *e, const double *array, const uint64_t *point,
                                       double sign)
{
    size_t at = evaluation_output(e, point); /* d is the last dimension of what is turned */
    double angle = 0.3 * (double)(at / 2 % 7 + 1);
    return array[at] * cos(angle) + sign * (at % 2 ? array[at - 1] : -array[at + 1]) * sin(angle);
}

/* The dimension that is stepped through, or that of the gates. */
static inline uint32_t evaluation_dim(const struct evaluation *e, bool gates)
{
    uint32_t d = 0;
    while (gates ? !e->op->dims[d].opaque : !e->op->dims[d].sequential)
        d++;
    return d;
}

/* The unit of a point from the first step to `last`. A GRU's second and fourth operand come from the hidden
 * state. */
static inline struct cell evaluation_cell(const struct evaluation *e, const uint64_t *point, uint64_t last)
{
    uint64_t at[OPERATOR_DIMS];
    uint32_t t = evaluation_dim(e, false), g = evaluation_dim(e, true);
    struct cell cell = {.kind = (enum cell_kind)e->op->dims[g].size};
    memcpy(at, point, sizeof at);
    for (at[t] = 0; at[t] <= last; at[t]++) {
        for (at[g] = 0; at[g] < e->op->dims[g].size; at[g]++)
            for (uint32_t i = 0; i < e->op->operand_count; i++)
                (cell.kind == CELL_GRU && i % 2 ? cell.h : cell.x)[at[t]][at[g]] +=
                    evaluation_read(e, e->in, i, at);
        cell_step(&cell, (uint32_t)at[t]);
    }
    return cell;
}

static inline void evaluation_cell_back(struct evaluation *e, const uint64_t *point)
{
    uint64_t at[OPERATOR_DIMS];
    uint32_t t = evaluation_dim(e, false), g = evaluation_dim(e, true);
    uint64_t steps = e->op->dims[t].size;
    struct cell cell = evaluation_cell(e, point, steps - 1);
    double dx[CELL_GATES] = {0}, dh[CELL_GATES] = {0}, ds = 0;
    memcpy(at, point, sizeof at);
    for (at[t] = steps; at[t]-- > point[t];)
        ds = cell_back(&cell, (uint32_t)at[t], e->dy[evaluation_output(e, at)], ds, dx, dh);
    at[t] = point[t];
    for (at[g] = 0; at[g] < e->op->dims[g].size; at[g]++)
        for (uint32_t i = 0; i < e->op->operand_count; i++)
            evaluation_give(e, i, at, (cell.kind == CELL_GRU && i % 2 ? dh : dx)[at[g]]);
}

static inline void evaluation_forward_point(struct evaluation *e, const uint64_t *point, void *state)
{
    const struct sums *sums = state;
    double *out = &e->out[evaluation_output(e, point)], x = 1;
    size_t row = evaluation_row(e, point);
    struct spot spot;
    switch (e->flavour) {
    case FLAVOUR_PRODUCT_SUM:
    case FLAVOUR_PRODUCT:
        for (uint32_t i = 0; i < e->op->operand_count; i++)
            x *= e->op->operands[i].added ? 1 : evaluation_factor(e, e->in, i, point);
        *out += x;
        break;
    case FLAVOUR_CELL:
        if (point[evaluation_dim(e, true)] == 0) {
            uint64_t t = point[evaluation_dim(e, false)];
            *out = evaluation_cell(e, point, t).out[t];
        }
        break;
    case FLAVOUR_MAX:
        if (!evaluation_spot(e, &e->op->operands[0], point, &spot))
            break;
        x = e->in[0][spot.at];
        if (isnan(x) || (!isnan(*out) && x > *out))
            *out = x;
        break;
    case FLAVOUR_AVERAGE:
    case FLAVOUR_COPY:
    case FLAVOUR_REORG:
        *out += evaluation_read(e, e->in, 0, point);
        break;
    case FLAVOUR_LOOKUP:
        x = evaluation_read(e, e->in, 0, point);
        if (isnan(x))
            *out = x;
        else if ((uint64_t)x == point[evaluation_rows(e)])
            *out += evaluation_read(e, e->in, 1, point);
        break;
    case FLAVOUR_SUM:
        x = evaluation_z(e, e->in, point);
        *out += e->active ? sin(x) + x / 2 : x;
        break;
    case FLAVOUR_ROTARY:
        *out += evaluation_turned(e, e->in[0], point, 1);
        break;
    case FLAVOUR_NORM:
        x = evaluation_read(e, e->in, 0, point) * evaluation_scale(e, e->in, point);
        *out += x / sqrt(1 + sums->first[row] / sums->normalised);
        if (e->op->operand_count > 2)
            *out += evaluation_read(e, e->in, 2, point);
        break;
    case FLAVOUR_SOFTMAX:
        *out += exp(evaluation_z(e, e->in, point)) / sums->first[row];
        break;
    case FLAVOUR_ROUTE:
        *out += exp(evaluation_z(e, e->in, point)) / sums->first[row] * evaluation_sent(e, point);
        break;
    case FLAVOUR_DISPATCH:
        x = evaluation_read(e, e->in, 1, point);
        *out += evaluation_read(e, e->in, 0, point) * (isnan(x) ? x : x != 0);
        break;
    case FLAVOUR_LOSS:
        *out = log(sums->first[row]) - sums->third[row] + 0 * evaluation_z(e, e->in, point);
        break;
    }
}

/* Calls once per point of an output that the product is added to. */
static inline void evaluation_visit_output(struct evaluation *e, evaluation_visitor *visitor)
{
    struct interval share[OPERATOR_DIMS];
    bool added = false;
    for (uint32_t i = 0; i < e->op->operand_count; i++)
        added |= e->op->operands[i].added;
    if (!added)
        return;
    for (uint32_t d = 0; d < e->op->dim_count; d++) {
        bool contracted = true;
        for (uint32_t k = 0; k < e->model->tensors.at[e->op->output.tensor].rank; k++)
            contracted &= e->op->output.dims[k].dim != (int)d;
        share[d] = contracted ? (struct interval){0, 1} : e->share[d];
    }
    evaluation_visit(e, share, visitor, NULL);
}

static inline void evaluation_add_point(struct evaluation *e, const uint64_t *point, void *state)
{
    (void)state;
    for (uint32_t i = 0; i < e->op->operand_count; i++)
        if (e->op->operands[i].added)
            e->out[evaluation_output(e, point)] += evaluation_read(e, e->in, i, point);
}

static inline void evaluation_added_gradient(struct evaluation *e, const uint64_t *point, void *state)
{
    (void)state;
    for (uint32_t i = 0; i < e->op->operand_count; i++)
        if (e->op->operands[i].added)
            evaluation_give(e, i, point, e->dy[evaluation_output(e, point)]);
}

/* A member whose share of the classes is empty knows the loss from the combined statistics alone. */
static inline void evaluation_idle(struct evaluation *e)
{
    for (uint32_t d = 0; d < e->op->dim_count; d++)
        if (e->flavour == FLAVOUR_LOSS && e->op->normalised >> d & 1 && e->share[d].low >= e->share[d].high) {
            e->share[d] = (struct interval){0, 1};
            for (uint32_t i = 0; i < e->op->operand_count; i++)
                e->in[i] = e->statistics[i];
        }
}

/* Fills the output's box, which the caller has made 0 (-INFINITY for a maximum). */
static inline void evaluation_forward(struct evaluation *e)
{
    struct sums sums = {0};
    evaluation_idle(e);
    if (e->op->normalised)
        evaluation_statistics(e, false, &sums);
    evaluation_visit(e, e->share, evaluation_forward_point, &sums);
    if (e->flavour == FLAVOUR_PRODUCT_SUM && e->adds)
        evaluation_visit_output(e, evaluation_add_point);
    evaluation_release(&sums);
}

/* ---- backward ---- */

static inline void evaluation_backward_product(struct evaluation *e, const uint64_t *point, double dy)
{
    for (uint32_t i = 0; i < e->op->operand_count; i++) {
        double others = dy;
        for (uint32_t j = 0; j < e->op->operand_count; j++)
            others *= j == i || e->op->operands[j].added ? 1 : evaluation_read(e, e->in, j, point);
        if (!e->op->operands[i].added)
            evaluation_give(e, i, point, others);
    }
}

static inline void evaluation_backward_norm(struct evaluation *e, const uint64_t *point, double dy,
                                            const struct sums *sums)
{
    size_t row = evaluation_row(e, point);
    double r = 1 / sqrt(1 + sums->first[row] / sums->normalised);
    double x = evaluation_read(e, e->in, 0, point);
    double dx =
        r * dy * evaluation_scale(e, e->in, point) - x * r * r * r / sums->normalised * sums->second[row];
    evaluation_give(e, 0, point, dx);
    if (e->op->operand_count > 1)
        evaluation_give(e, 1, point, dy * x * r);
    if (e->op->operand_count > 2)
        evaluation_give(e, 2, point, dy);
}

static inline void evaluation_backward_point(struct evaluation *e, const uint64_t *point, void *state)
{
    const struct sums *sums = state;
    size_t at = evaluation_output(e, point), row = evaluation_row(e, point);
    double dy = e->dy[at], x = 0;
    struct spot spot;
    switch (e->flavour) {
    case FLAVOUR_PRODUCT_SUM:
    case FLAVOUR_PRODUCT:
        evaluation_backward_product(e, point, dy);
        break;
    case FLAVOUR_CELL:
        if (point[evaluation_dim(e, true)] == 0)
            evaluation_cell_back(e, point);
        break;
    case FLAVOUR_MAX:
        if (evaluation_spot(e, &e->op->operands[0], point, &spot) && !(e->in[0][spot.at] < e->out[at]))
            evaluation_give(e, 0, point, isnan(e->out[at]) ? NAN : dy);
        break;
    case FLAVOUR_AVERAGE:
    case FLAVOUR_COPY:
    case FLAVOUR_REORG:
        evaluation_give(e, 0, point, dy);
        break;
    case FLAVOUR_LOOKUP:
        x = evaluation_read(e, e->in, 0, point);
        if (isnan(x) || (uint64_t)x == point[evaluation_rows(e)])
            evaluation_give(e, 1, point, dy + 0 * x);
        break;
    case FLAVOUR_SUM:
        if (e->active)
            dy *= cos(evaluation_z(e, e->in, point)) + 0.5;
        for (uint32_t i = 0; i < e->op->operand_count; i++)
            evaluation_give(e, i, point, dy);
        break;
    case FLAVOUR_ROTARY:
        evaluation_give(e, 0, point, evaluation_turned(e, e->dy, point, -1));
        break;
    case FLAVOUR_NORM:
        evaluation_backward_norm(e, point, dy, sums);
        break;
    case FLAVOUR_SOFTMAX:
        x = exp(evaluation_z(e, e->in, point)) / sums->first[row] * (dy - sums->second[row]);
        for (uint32_t i = 0; i < e->op->operand_count; i++)
            evaluation_give(e, i, point, x);
        break;
    case FLAVOUR_ROUTE:
        x = exp(evaluation_z(e, e->in, point)) / sums->first[row] *
            (dy * evaluation_sent(e, point) - sums->second[row]);
        for (uint32_t i = 0; i < e->op->operand_count; i++)
            evaluation_give(e, i, point, x);
        break;
    case FLAVOUR_DISPATCH:
        x = evaluation_read(e, e->in, 1, point);
        evaluation_give(e, 0, point, dy * (isnan(x) ? x : x != 0));
        break;
    case FLAVOUR_LOSS:
        x = exp(evaluation_z(e, e->in, point)) / sums->first[row] - (evaluation_first(e, point) ? 1 : 0);
        evaluation_give(e, 0, point, dy * x);
        break;
    }
}

/* Adds to the gradients, which the caller has made 0 in the operands' boxes. For a maximum `out` is the
 * forward output. */
static inline void evaluation_backward(struct evaluation *e)
{
    struct sums sums = {0};
    if (e->op->normalised)
        evaluation_statistics(e, true, &sums);
    evaluation_visit(e, e->share, evaluation_backward_point, &sums);
    if (e->flavour == FLAVOUR_PRODUCT_SUM)
        evaluation_visit_output(e, evaluation_added_gradient);
    evaluation_release(&sums);
}

#endif
