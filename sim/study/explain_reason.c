#include "study/explain_reason.h"

#include "base/communication.h"
#include "base/unit.h"
#include "plan/compression.h"
#include "plan/memory.h"
#include "plan/mesh.h"
#include "plan/shard.h"
#include "plan/state.h"
#include "plan/tied.h"
#include "plan/wavefront.h"

#include <string.h>

enum { TEXT = 64, AXES = 128 };

/* $d stands for the dimension, $w for whose it is, $o for the one that is split afterwards, $a for the axis,
 * $p for the other stage. */
static const char *const explain_reasons[REASON_COUNT] = {
    [REASON_CONTRACTED] = "contracted dimension `$d`$w is split over `$a`: partial sums",
    [REASON_WANTED_WHOLE] = "`$d` is split over `$a`, but needed whole: shares",
    [REASON_OTHER_DIM] = "split over `$a` along `$d`, needed along `$o`: shares of shares",
    [REASON_HALO] = "windows, or shares, along `$d` reach into what other devices own",
    [REASON_TO_ROOT] = "others want parts along `$d` of what each device owns: to the first device of `$a`, "
                       "which passes them on",
    [REASON_FROM_ROOT] =
        "windows, or shares, along `$d` reach into what other devices own: from the first device of `$a`",
    [REASON_COMBINED] = "`$d` is split over `$a`, but one device does this alone: shares",
    [REASON_SPREAD] = "one device of `$a` made it alone, the others need it",
    [REASON_STATISTICS] = "normalised dimension `$d` is split over `$a`: sums for the statistics",
    [REASON_STAGE] = "$p",
    [REASON_SAVED] = "kept in shares of `$d` over `$a`, but the backward pass reads it whole",
};

const char *explain_reason_what(const struct action *action)
{
    if (action->kind == ACTION_COLLECTIVE)
        return communication_names[action->collective];
    return action->kind == ACTION_EXCHANGE ? "exchange" : action->kind == ACTION_SEND ? "send" : "receive";
}

/* The name of a set of axes, in `text`. */
static const char *explain_reason_axes(const struct derivation *d, uint32_t axes, char text[AXES])
{
    return mesh_name(d->stage, axes, d->plan->model->names, text, AXES);
}

/* The dimension that a layout after a collective is split along its axis. */
static const char *explain_reason_other(const struct derivation *d, const struct action *action)
{
    const struct tensor *tensor = state_tensor(d, action->tensor);
    bool split = action->kind == ACTION_COLLECTIVE && action->after.place[action->axis] == PLACE_SPLIT;
    return split ? names_text(d->plan->model->names, tensor->dims[action->after.dim[action->axis]].label)
                 : "*";
}

static void explain_reason_peer(const struct derivation *d, const struct action *action, FILE *out)
{
    bool send = action->kind == ACTION_SEND;
    if (action->peer == MODEL_NONE)
        fprintf(
            out, "samples come from the input device %s",
            names_text(d->plan->platform->names, d->plan->platform->devices.at[d->plan->input_device].name));
    else
        fprintf(out, send ? "stage %u needs it" : "made in stage %u", action->peer);
}

/* Whether an operator's own gradients are summed, and not those that come from what reads its output. */
static bool explain_reason_own(const struct derivation *d, const struct action *action)
{
    return action->streamed && action->loop != MODEL_NONE && d->backward_loops.at[action->loop].panels;
}

static void explain_reason_fill(const struct derivation *d, const struct action *action, const char *text,
                                FILE *out)
{
    char axes[AXES];
    for (; *text; text++) {
        if (*text != '$') {
            fputc(*text, out);
            continue;
        }
        text++;
        if (*text == 'd')
            fputs(names_text(d->plan->model->names, action->because), out);
        else if (*text == 'o')
            fputs(explain_reason_other(d, action), out);
        else if (*text == 'w')
            fputs(action->backward && !explain_reason_own(d, action) ? " of what reads it" : "", out);
        else if (*text == 'a')
            fputs(explain_reason_axes(d, action->axes, axes), out);
        else
            explain_reason_peer(d, action, out);
    }
}

static void explain_reason_why(const struct derivation *d, const struct action *action, FILE *out)
{
    const char *text = explain_reasons[action->reason];
    char axes[AXES];
    bool nameless = text && strchr(text, 'd') && strstr(text, "$d") && !action->because;
    if (action->reason == REASON_CONTRACTED && nameless)
        fprintf(out, "partial sums over `%s`", explain_reason_axes(d, action->axes, axes));
    else if (text && !nameless)
        explain_reason_fill(d, action, text, out);
    else
        fprintf(out, "it %s", derive_reasons[action->reason]);
}

/* " in each of 50 steps but the last" */
static void explain_reason_loop(const struct derivation *d, const struct action *action, FILE *out)
{
    if (action->loop == MODEL_NONE)
        return;
    const struct step_loop *loop =
        action->backward ? &d->backward_loops.at[action->loop] : &d->forward_loops.at[action->loop];
    if (action->streamed && loop->panels) {
        char axes[AXES];
        const char *around = explain_reason_axes(d, action->axes, axes);
        const char *of = names_text(d->plan->model->names, loop->because);
        if (action->collective == ALL_GATHER)
            fprintf(out,
                    ", streamed in %u panel%s of `%s`: each is passed on around `%s` while another is "
                    "multiplied",
                    loop->steps, loop->steps == 1 ? "" : "s", of, around);
        else
            fprintf(out, ", streamed in %u panel%s of `%s`: each goes around `%s` to who keeps it",
                    loop->steps, loop->steps == 1 ? "" : "s", of, around);
        return;
    }
    if (action->streamed) {
        char axes[AXES];
        fprintf(out, ", streamed: %u times a block is passed on around `%s` while another is worked on",
                loop->steps - 1, explain_reason_axes(d, action->axes, axes));
        return;
    }
    fprintf(out, " in each of %u steps of `%s`%s", loop->steps,
            names_text(d->plan->model->names, loop->because),
            !action->transient ? ""
            : action->backward ? " but the first"
                               : " but the last");
}

static double explain_reason_steps(const struct derivation *d, const struct action *action)
{
    if (action->loop == MODEL_NONE || action->streamed)
        return 1;
    return action->backward ? d->backward_loops.at[action->loop].steps
                            : d->forward_loops.at[action->loop].steps;
}

void explain_reason_text(const struct derivation *d, const struct action *action, uint32_t times,
                         uint32_t messages, double bytes, FILE *out)
{
    char text[TEXT];
    double steps = explain_reason_steps(d, action);
    explain_reason_why(d, action, out);
    fprintf(out, " → %s", explain_reason_what(action));
    if (action->kind == ACTION_COLLECTIVE)
        fprintf(out, ", %s",
                unit_format(derive_payload(d, action, (struct coordinates){{0}}) / steps, UNIT_BYTES, text,
                            TEXT));
    else
        fprintf(out, ", %u message%s, %s in all", messages, messages == 1 ? "" : "s",
                unit_format(bytes / steps, UNIT_BYTES, text, TEXT));
    explain_reason_loop(d, action, out);
    bool crosses = action->kind == ACTION_SEND || action->kind == ACTION_RECEIVE;
    uint32_t chunks = crosses ? wavefront_transfer(d, action->peer) : 1;
    if (chunks > 1)
        fprintf(out, ", in %u chunks of the sequence", chunks);
    if (times > 1)
        fprintf(out, ", for %u tiles one after the other", times);
}

/* The dimension that makes a parameter's gradient partial along all of these axes: what its first operator
 * splits; NULL where it splits none or several. */
static const char *explain_reason_partial(const struct derivation *d, const struct stage_parameter *parameter,
                                          uint32_t axes)
{
    const struct layer_op *layer_op = state_operator(d, parameter->layer_op);
    int split = ASSIGN_ALL;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        int own = d->operators.at[parameter->layer_op].assignment.split[a];
        if (!(axes >> a & 1))
            continue;
        if (own < 0 || (split >= 0 && own != split))
            return NULL;
        split = own;
    }
    return split >= 0 ? names_text(d->plan->model->names, layer_op->dims[split].names[0]) : NULL;
}

/* One line for each dimension whose split makes partial sums; what is communicated is one collective. */
static void explain_reason_partials(const struct derivation *d, const struct stage_parameter *parameter,
                                    uint32_t axes, const char *before, const char *after, double bytes,
                                    FILE *out)
{
    char text[TEXT], name[AXES];
    const struct assignment *assignment = &d->operators.at[parameter->layer_op].assignment;
    for (uint32_t a = 0, done = 0; a < d->stage->axis_count; a++) {
        if (!(axes >> a & 1) || done >> a & 1)
            continue;
        uint32_t together = state_together(d, assignment, a) & axes;
        const char *axis = explain_reason_axes(d, together, name);
        const char *dim = explain_reason_partial(d, parameter, together);
        fprintf(out, "%s", before);
        if (dim)
            fprintf(out, "contracted dimension `%s` is split over `%s`: partial sums", dim, axis);
        else
            fprintf(out, "several layers use it, split differently over `%s`: partial sums", axis);
        fprintf(out, " → %s, %s\n", after, unit_format(bytes, UNIT_BYTES, text, TEXT));
        done |= together;
    }
}

/* What compression sends of one parameter. */
static void explain_reason_compressed(const struct derivation *d, uint32_t index, uint32_t axes,
                                      const char *before, FILE *out)
{
    struct compression_sizes sizes = {0};
    struct compression_phase phases[COMPRESSION_PHASES + 1];
    const struct plan_compression *how = &d->plan->compression;
    char text[TEXT];
    compression_add(d, index, 0, &sizes);
    uint32_t count = compression_phases(d->plan, &sizes, layout_places(d->stage, axes), phases);
    fprintf(out, "%scompressed by %s %.6g →", before, compression_table[how->kind - 1]->name,
            how->top > 0 ? how->top : how->bits + how->rank);
    for (uint32_t i = 0; i + 1 < count; i++)
        fprintf(out, "%s %s, %s", i ? ";" : "", communication_names[phases[i].collective],
                unit_format(phases[i].bytes, UNIT_BYTES, text, TEXT));
    fputc('\n', out);
}

/* "4 messages to it, 77.2 MB", or from it: what two copies of a tied gradient have in common. */
static void explain_reason_flows(const struct derivation *d, const struct tied_sum *sum, uint32_t source,
                                 uint32_t target, const char *which, FILE *out)
{
    char text[TEXT];
    uint32_t messages = 0;
    double elements = 0;
    for (uint32_t i = 0; i < sum->flows.count; i++)
        if (sum->flows.at[i].source == source && sum->flows.at[i].target == target) {
            messages++;
            elements += sum->flows.at[i].elements;
        }
    fprintf(
        out, "%u message%s %s it, %s", messages, messages == 1 ? "" : "s", which,
        unit_format(elements * precision_bytes(d->plan->communication_precision), UNIT_BYTES, text, TEXT));
}

/* How the gradient of a parameter is added up with those of other stages that hold it. */
static void explain_reason_tied(const struct derivation *d, uint32_t index, const char *before, FILE *out)
{
    const struct derivation *all = d - d->stage_index; /* of all stages, in one array */
    struct tied_sum sum;
    char text[TEXT];
    if (!d->plan->training || !tied_find(all, d->parameters.at[index].tensor, &sum))
        return;
    double bytes = tied_elements(all, &sum, 0) * precision_bytes(d->plan->communication_precision);
    for (uint32_t i = 0; i < sum.copies.count; i++) {
        uint32_t other = sum.copies.at[i].stage;
        if (other == d->stage_index)
            continue;
        fprintf(out, "%sstage %u holds it too, in %s shares: sums of both → ", before, other,
                sum.alike ? "the same" : "other");
        if (sum.alike) {
            fprintf(out, "all-reduce between equal shares once per step, %s\n",
                    unit_format(bytes, UNIT_BYTES, text, TEXT));
            continue;
        }
        explain_reason_flows(d, &sum, d->stage_index, other, "to", out);
        fprintf(out, "; ");
        explain_reason_flows(d, &sum, other, d->stage_index, "from", out);
        fprintf(out, ", once per step\n");
    }
    tied_fini(&sum);
}

void explain_reason_parameter(const struct derivation *d, uint32_t index, const char *before, FILE *out)
{
    const struct stage_parameter *parameter = &d->parameters.at[index];
    struct shard_reduction reduction = shard_reduction(parameter);
    double elements = memory_parameter(d, index, 0);
    double bytes = elements * precision_bytes(d->plan->communication_precision);
    double share = bytes / layout_places(d->stage, reduction.scatter);
    bool away = d->plan->offload.gradients != PLAN_DEVICE; /* they leave after each micro-batch */
    char text[TEXT], axes[AXES];
    explain_reason_partials(d, parameter, reduction.scatter, before,
                            d->plan->zero >= 2 || away ? "reduce-scatter in each micro-batch"
                                                       : "reduce-scatter once per step",
                            bytes, out);
    explain_reason_partials(d, parameter, reduction.sum, before,
                            away                        ? "all-reduce in each micro-batch"
                            : d->plan->compression.kind ? "compressed all-reduce once per step, of what was"
                                                        : "all-reduce once per step",
                            share, out);
    if (reduction.sum && d->plan->compression.kind)
        explain_reason_compressed(d, index, reduction.sum, before, out);
    if (parameter->shard_axes)
        fprintf(out, "%skept in shares over `%s`, used whole → all-gather %s, %s\n", before,
                explain_reason_axes(d, parameter->shard_axes, axes),
                d->plan->zero >= 3 ? "before each use" : "after the update",
                unit_format(elements * precision_bytes(d->plan->weight_precision), UNIT_BYTES, text, TEXT));
    explain_reason_tied(d, index, before, out);
}
