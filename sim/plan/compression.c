#include "plan/compression.h"

#include "cost/cost.h"
#include "plan/state.h"

/* Bytes of an index of a value, and of the scale of a part of quantised ones. */
enum { COMPRESSION_INDEX = 4, COMPRESSION_SCALE = 4 };

double compression_residual(const struct plan *plan)
{
    return plan->compression.kind ? precision_bytes(plan->gradient_precision) : 0;
}

/* Bytes that one pass over gradients and what was left of them last time moves: reads both, writes the
 * latter. */
static double compression_pass(const struct plan *plan, double elements)
{
    return elements * (precision_bytes(plan->gradient_precision) + 2 * compression_residual(plan));
}

/* The largest values with their indices, which all members gather and add up (Aji and Heafield 2017; Lin et
 * al. 2018, whose threshold is found in a sample: one pass). */
static uint32_t compression_top(const struct plan *plan, const struct compression_sizes *sizes, double ways,
                                struct compression_phase phases[COMPRESSION_PHASES + 1])
{
    double chosen = sizes->elements * plan->compression.top;
    double bytes = chosen * (COMPRESSION_INDEX + precision_bytes(plan->communication_precision));
    phases[0] = (struct compression_phase){0, compression_pass(plan, sizes->elements) + bytes, ALL_GATHER,
                                           ways * bytes};
    phases[1] = (struct compression_phase){
        0, ways * bytes + sizes->elements * precision_bytes(plan->gradient_precision), COLLECTIVE_KIND_COUNT,
        0};
    return 2;
}

/* Each member gets its part of all quantised gradients, averages it, and sends it quantised to all: the
 * compressed all-reduce of 1-bit Adam (Tang et al. 2021). Each of the parts has a scale. */
static uint32_t compression_bits(const struct plan *plan, const struct compression_sizes *sizes, double ways,
                                 struct compression_phase phases[COMPRESSION_PHASES + 1])
{
    double gradients = sizes->elements * precision_bytes(plan->gradient_precision);
    double bytes = sizes->elements * plan->compression.bits / 8 + ways * COMPRESSION_SCALE;
    phases[0] =
        (struct compression_phase){0, compression_pass(plan, sizes->elements) + bytes, ALL_TO_ALL, bytes};
    phases[1] = (struct compression_phase){
        0, bytes + compression_pass(plan, sizes->elements / ways) + bytes / ways, ALL_GATHER, bytes};
    phases[2] = (struct compression_phase){0, bytes + gradients, COLLECTIVE_KIND_COUNT, 0};
    return 3;
}

/* PowerSGD (Vogels et al. 2019, algorithm 1): P = M Q is averaged and orthogonalised, Q = Mᵀ P is averaged,
 * and P Qᵀ stands for the gradient M. Vectors, and matrices that would not shrink, are averaged with P. */
static uint32_t compression_rank(const struct plan *plan, const struct compression_sizes *sizes, double ways,
                                 struct compression_phase phases[COMPRESSION_PHASES + 1])
{
    (void)ways;
    double each = precision_bytes(plan->communication_precision), rank = plan->compression.rank;
    double gradient = precision_bytes(plan->gradient_precision), product = 2 * sizes->matrices * rank;
    double p = sizes->rows * rank, q = sizes->columns * rank, plain = sizes->elements - sizes->matrices;
    if (sizes->matrices <= 0) {
        phases[0] = (struct compression_phase){0, 0, ALL_REDUCE, plain * each};
        phases[1] = (struct compression_phase){0, 0, COLLECTIVE_KIND_COUNT, 0};
        return 2;
    }
    phases[0] = (struct compression_phase){product, compression_pass(plan, sizes->matrices) + (p + q) * each,
                                           ALL_REDUCE, (p + plain) * each};
    phases[1] = (struct compression_phase){
        product + 2 * p * rank, sizes->matrices * gradient + (2 * p + q) * each, ALL_REDUCE, q * each};
    phases[2] = (struct compression_phase){
        product, (p + q) * each + sizes->matrices * (gradient + 2 * gradient), COLLECTIVE_KIND_COUNT, 0};
    return 3;
}

static const struct compression compression_by_top = {
    "top", "only this share of the gradients, the largest, with their indices", compression_top};
static const struct compression compression_by_bits = {"bits", "each gradient in this many bits",
                                                       compression_bits};
static const struct compression compression_by_rank = {
    "rank", "the gradient of a matrix as the product of two factors of this rank", compression_rank};
const struct compression *const compression_table[] = {&compression_by_top, &compression_by_bits,
                                                       &compression_by_rank, NULL};

void compression_add(const struct derivation *d, uint32_t index, uint32_t member,
                     struct compression_sizes *sizes)
{
    const struct stage_parameter *parameter = &d->parameters.at[index];
    const struct tensor *tensor = state_tensor(d, parameter->tensor);
    struct box box =
        layout_box(d->stage, tensor, &parameter->layout, layout_coordinates(d->stage, member), 0);
    double elements = layout_volume(tensor, &box), rows = 1, columns = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        *(parameter->rows >> i & 1 ? &rows : &columns) *= (double)(box.dims[i].high - box.dims[i].low);
    sizes->elements += elements;
    if ((rows + columns) * d->plan->compression.rank >= elements)
        return;
    sizes->matrices += elements;
    sizes->rows += rows;
    sizes->columns += columns;
}

uint32_t compression_phases(const struct plan *plan, const struct compression_sizes *sizes, double ways,
                            struct compression_phase phases[COMPRESSION_PHASES + 1])
{
    return compression_table[plan->compression.kind - 1]->phases(plan, sizes, ways, phases);
}

struct work compression_work(const struct plan *plan, uint32_t device, const struct compression_phase *phase)
{
    const struct device *where = &plan->platform->devices.at[device];
    struct work work = {.flops = phase->flops, .bytes = phase->moved, .launches = 1};
    struct kernel kernel = {phase->flops > 0 ? KERNEL_MATMUL : KERNEL_MEMORY, phase->flops, phase->moved, 1};
    work.seconds = cost_seconds(&plan->platform->device_types.at[where->type], where->speed,
                                plan->gradient_precision, &kernel);
    return work;
}
