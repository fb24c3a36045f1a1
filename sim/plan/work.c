#include "plan/work.h"

#include "cost/cost.h"
#include "plan/memory.h"
#include "plan/state.h"

void work_add(struct work *sum, const struct work *other)
{
    sum->flops += other->flops;
    sum->model_flops += other->model_flops;
    sum->weight_flops += other->weight_flops;
    sum->bytes += other->bytes;
    sum->launches += other->launches;
    sum->seconds += other->seconds;
}

/* The part of an operand's box that is touched: where the operator is partly filled along a dimension of a
 * full operand, indices at which nothing exists are not (weights of experts that no token is sent to). */
static double work_touched(const struct layer_op *layer_op, const struct operand *operand,
                           const struct tensor *tensor, const struct box *box)
{
    double part = 1;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        int dim = operand->dims[d].dim;
        const struct filling *filling = dim < 0 ? NULL : layer_op->dims[dim].filling;
        if (!filling || tensor->dims[d].filling || box->dims[d].low >= box->dims[d].high)
            continue;
        uint64_t there = 0;
        for (uint64_t i = box->dims[d].low; i < box->dims[d].high; i++)
            there += filling->before[i + 1] > filling->before[i];
        part *= (double)there / (double)(box->dims[d].high - box->dims[d].low);
    }
    return part;
}

void work_scale(struct work *work, double share)
{
    work->flops *= share;
    work->model_flops *= share;
    work->weight_flops *= share;
    work->bytes *= share;
    work->launches *= share;
    work->seconds *= share;
}

/* Bytes of an operand (or the output) that a member touches. */
static double work_bytes(const struct derivation *d, uint32_t index, const struct operand *operand,
                         uint32_t member)
{
    const struct tensor *tensor = state_tensor(d, operand->tensor);
    if (tensor->internal)
        return 0;
    struct box box =
        assign_box(d->stage, d->plan->model, state_operator(d, index), &d->operators.at[index].assignment,
                   operand, layout_coordinates(d->stage, member));
    return layout_volume(tensor, &box) * work_touched(state_operator(d, index), operand, tensor, &box) *
           derive_element_bytes(d->plan, tensor);
}

/* Bytes of the rows that a look-up reads: as many as it gives, or where several are added as many times that.
 */
static double work_rows(const struct derivation *d, uint32_t index, uint32_t member, double output)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct stage_operator *so = &d->operators.at[index];
    const struct operand *rows = NULL;
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (state_tensor(d, layer_op->operands[i].tensor)->role == TENSOR_PARAMETER)
            rows = &layer_op->operands[i];
    for (uint32_t dim = 0; rows && dim < layer_op->dim_count; dim++) {
        bool summed = true; /* neither in the output nor of the table: places of a sum */
        for (uint32_t k = 0; k < TENSOR_DIMS; k++)
            summed &= rows->dims[k].dim != (int)dim && layer_op->output.dims[k].dim != (int)dim;
        struct interval share =
            assign_share(d->stage, layer_op, &so->assignment, dim, layout_coordinates(d->stage, member));
        if (summed)
            output *= model_extent(layer_op->dims[dim].filling, share);
    }
    return output;
}

static bool work_indexes(const struct operand *operand, const struct tensor *tensor, uint32_t dim)
{
    for (uint32_t k = 0; k < tensor->rank; k++)
        if (operand->dims[k].dim == (int)dim || operand->dims[k].inner == (int)dim)
            return true;
    return false;
}

/* The same over all kernels of the operator: one that goes step by step reads what has no steps (weights) in
 * every one. Heads that share nothing each read what their group has. */
static double work_reads(const struct derivation *d, uint32_t index, const struct operand *operand,
                         uint32_t member)
{
    const struct layer_op *layer_op = state_operator(d, index);
    double bytes = work_bytes(d, index, operand, member);
    const struct tensor *tensor = state_tensor(d, operand->tensor);
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        if (layer_op->dims[i].sequential && !work_indexes(operand, tensor, i))
            bytes *= (double)layer_op->dims[i].size;
    uint32_t each = layer_op->rereads - 1u;
    if (layer_op->rereads && !work_indexes(operand, tensor, each)) {
        struct interval share = assign_share(d->stage, layer_op, &d->operators.at[index].assignment, each,
                                             layout_coordinates(d->stage, member));
        bytes *= (double)(share.high - share.low);
    }
    return bytes;
}

static double work_launches(const struct layer_op *layer_op)
{
    double launches = 1;
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        if (layer_op->dims[i].sequential)
            launches *= (double)layer_op->dims[i].size;
    return launches;
}

static void work_price(const struct derivation *d, const struct layer_op *layer_op, uint32_t device,
                       struct work *work)
{
    const struct platform *platform = d->plan->platform;
    const struct device *where = &platform->devices.at[device];
    struct kernel kernel = {layer_op->kernel, work->flops, work->bytes, work->launches};
    work->seconds =
        cost_seconds(&platform->device_types.at[where->type], where->speed, d->plan->precision, &kernel);
}

/* The points of an operator that a member computes; none of a view. */
static double work_points(const struct derivation *d, uint32_t index, uint32_t member)
{
    const struct layer_op *layer_op = state_operator(d, index);
    if (layer_op->kind == OPERATOR_VIEW)
        return 0;
    return assign_points(d->stage, layer_op, &d->operators.at[index].assignment,
                         layout_coordinates(d->stage, member));
}

struct work work_forward(const struct derivation *d, uint32_t index, uint32_t member)
{
    const struct layer_op *layer_op = state_operator(d, index);
    struct work work = {0};
    double points = work_points(d, index, member);
    if (points <= 0)
        return work;
    double output = work_bytes(d, index, &layer_op->output, member);
    work.flops = layer_op->kind == OPERATOR_LOOKUP ? 0 : layer_op->flops_per_point * points;
    work.model_flops =
        layer_op->kind == OPERATOR_EINSUM ? work.flops * d->operators.at[index].assignment.useful : 0;
    if (!layer_op->fused) {
        work.launches = work_launches(layer_op);
        work.bytes = output;
        for (uint32_t i = 0; i < layer_op->operand_count; i++) {
            bool table = layer_op->kind == OPERATOR_LOOKUP &&
                         state_tensor(d, layer_op->operands[i].tensor)->role == TENSOR_PARAMETER;
            work.bytes += table ? work_rows(d, index, member, output)
                                : work_reads(d, index, &layer_op->operands[i], member);
        }
    }
    work_price(d, layer_op, d->stage->devices.at[member], &work);
    return work;
}

/* Whether the backward pass makes a gradient of this operand. */
static bool work_wanted(const struct derivation *d, const struct operand *operand)
{
    return state_tensor(d, operand->tensor)->role == TENSOR_PARAMETER ||
           (operand->gradient && d->needs_gradient[operand->tensor]);
}

enum { WORK_INPUTS = 1, WORK_WEIGHTS = 2 }; /* whose gradients */

/* An einsum makes each operand's gradient by an einsum of its own over the same iteration space. The gradient
 * of weights has no order in time: it is one kernel over all steps. */
static struct work work_backward_einsum(const struct derivation *d, uint32_t index, uint32_t member,
                                        double points, int whose)
{
    const struct layer_op *layer_op = state_operator(d, index);
    struct work work = {0};
    double output = work_bytes(d, index, &layer_op->output, member), operands = 0, reads = 0;
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        bool added = layer_op->operands[i].added;
        operands += added ? 0 : work_bytes(d, index, &layer_op->operands[i], member);
        reads += added ? 0 : work_reads(d, index, &layer_op->operands[i], member);
    }
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        bool weights = state_tensor(d, layer_op->operands[i].tensor)->role == TENSOR_PARAMETER;
        if (!work_wanted(d, &layer_op->operands[i]) || layer_op->operands[i].added ||
            !(whose & (weights ? WORK_WEIGHTS : WORK_INPUTS)))
            continue; /* the gradient of what is added is that of the output */
        double flops = layer_op->flops_per_point * points;
        work.flops += flops;
        work.model_flops += flops * d->operators.at[index].assignment.useful;
        if (weights)
            work.weight_flops += flops;
        /* Reads dY and the others, writes its own gradient. */
        work.bytes += output + (weights ? operands : reads);
        work.launches += weights ? 1 : work_launches(layer_op);
    }
    if ((whose & WORK_INPUTS) &&
        state_tensor(d, layer_op->output.tensor)->internal) /* never stored: the kernel makes it again */
        work.flops += layer_op->flops_per_point * points;
    return work;
}

static struct work work_gradients(const struct derivation *d, uint32_t index, uint32_t member, int whose)
{
    const struct layer_op *layer_op = state_operator(d, index);
    struct work work = {0};
    double points = work_points(d, index, member);
    if (points <= 0)
        return work;
    if (layer_op->kind == OPERATOR_EINSUM) {
        work = work_backward_einsum(d, index, member, points, whose);
    } else if (whose & WORK_INPUTS) {
        double output = work_bytes(d, index, &layer_op->output, member);
        work.flops = layer_op->kind == OPERATOR_LOOKUP ? 0 : layer_op->flops_per_point * points;
        work.bytes = output * (layer_op->output_saved ? 2 : 1);
        work.launches = work_launches(layer_op);
        for (uint32_t i = 0; i < layer_op->operand_count; i++) {
            const struct operand *operand = &layer_op->operands[i];
            bool table = layer_op->kind == OPERATOR_LOOKUP &&
                         state_tensor(d, operand->tensor)->role == TENSOR_PARAMETER;
            double bytes =
                table ? 2 * work_rows(d, index, member, output) : work_bytes(d, index, operand, member);
            work.bytes += bytes * ((operand->saved ? 1 : 0) + (work_wanted(d, operand) ? 1 : 0));
        }
        if (layer_op->fused)
            work.bytes = work.launches = 0;
    }
    work_price(d, layer_op, d->stage->devices.at[member], &work);
    return work;
}

struct work work_backward(const struct derivation *d, uint32_t index, uint32_t member)
{
    return work_gradients(d, index, member, WORK_INPUTS | WORK_WEIGHTS);
}

struct work work_input_gradient(const struct derivation *d, uint32_t index, uint32_t member)
{
    return work_gradients(d, index, member, WORK_INPUTS);
}

struct work work_weight_gradient(const struct derivation *d, uint32_t index, uint32_t member)
{
    return work_gradients(d, index, member, WORK_WEIGHTS);
}

/* Launches and bytes that every part of a sequence has in full. */
struct work_fixed {
    double launches, bytes;
};

static struct work_fixed work_fixed_backward(const struct derivation *d, uint32_t index, double weights,
                                             bool weight_gradients)
{
    const struct layer_op *layer_op = state_operator(d, index);
    struct work_fixed fixed = {0};
    bool steps = work_launches(layer_op) > 1;
    if (layer_op->kind != OPERATOR_EINSUM)
        return (struct work_fixed){steps ? 0 : 1, 0};
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        bool parameter = state_tensor(d, layer_op->operands[i].tensor)->role == TENSOR_PARAMETER;
        if (layer_op->operands[i].added || !work_wanted(d, &layer_op->operands[i]) ||
            (parameter ? !weight_gradients : steps))
            continue;
        fixed.launches += 1;
        fixed.bytes += weights;
    }
    return fixed;
}

struct work work_part(const struct derivation *d, uint32_t index, uint32_t member, const struct work *whole,
                      bool backward, double share)
{
    const struct layer_op *layer_op = state_operator(d, index);
    struct work part = *whole;
    double weights = 0;
    work_scale(&part, share);
    if (share >= 1 || whole->launches <= 0)
        return part;
    for (uint32_t i = 0; i < layer_op->operand_count && layer_op->kind != OPERATOR_LOOKUP; i++)
        if (state_tensor(d, layer_op->operands[i].tensor)->role == TENSOR_PARAMETER)
            weights += work_bytes(d, index, &layer_op->operands[i], member);
    bool once = work_launches(layer_op) <= 1;
    struct work_fixed fixed = {once ? 1 : 0, once ? weights : 0};
    if (backward)
        fixed = work_fixed_backward(d, index, weights, whole->weight_flops > 0);
    part.launches += (1 - share) * fixed.launches;
    part.bytes += (1 - share) * fixed.bytes;
    work_price(d, layer_op, d->stage->devices.at[member], &part);
    return part;
}

struct work work_panel(const struct derivation *d, uint32_t index, uint32_t member, const struct work *whole,
                       bool backward, double share, bool first)
{
    const struct layer_op *layer_op = state_operator(d, index);
    struct work part = *whole;
    double output = work_bytes(d, index, &layer_op->output, member);
    work_scale(&part, share);
    if (whole->launches <= 0)
        return part;
    part.launches = whole->launches;
    if (backward) /* each gradient's einsum reads dY */
        part.bytes += (1 - share) * whole->launches * output;
    else
        part.bytes += output * ((first ? 1 : 2) - share);
    work_price(d, layer_op, d->stage->devices.at[member], &part);
    return part;
}

void work_memory(const struct plan *plan, uint32_t device, struct work *work)
{
    const struct device *where = &plan->platform->devices.at[device];
    struct kernel kernel = {KERNEL_MEMORY, 0, work->bytes, work->launches};
    work->seconds =
        cost_seconds(&plan->platform->device_types.at[where->type], where->speed, plan->precision, &kernel);
}

struct work work_optimizer(const struct plan *plan, uint32_t device, double parameters, double states)
{
    double weights = precision_bytes(plan->weight_precision), gradients = memory_gradient_bytes(plan);
    /* Reads the gradient, reads and writes the states, writes (and without a master copy reads) the weights.
     */
    struct work work = {.bytes = parameters * (gradients + 2 * weights) + 2 * states, .launches = 1};
    work_memory(plan, device, &work);
    return work;
}
