/* Onnx_control: subgraphs. An If becomes the branch that its condition chooses, or the one with more work
 * when the condition is known only when it runs. A Loop or a Scan becomes its body as often as it is done:
 * each trip is nodes of its own, which share the body's weights. */
#include "model/onnx_expand.h"

#include "input/value.h"

#include <stdlib.h>
#include <string.h>

enum { CONTROL_UNKNOWN = -1, CONTROL_MOST = 1000000 };

static const struct onnx_graph *control_graph(struct onnx_expand *expand, const char *name)
{
    const struct onnx_attribute *attribute = onnx_file_attribute(expand->call.node, name);
    if (!attribute || !attribute->g)
        onnx_call_fail(&expand->call, "has no graph '%s'", name);
    return attribute ? attribute->g : NULL;
}

static const char *control_title(const struct onnx_expand *expand)
{
    const struct onnx_node *node = expand->call.node;
    return *node->name ? node->name : node->outputs.count ? node->outputs.at[0] : node->kind;
}

static void control_say(struct onnx_expand *expand, const char *text)
{
    report_warning(expand->call.infer->report, (struct place){expand->call.infer->values.at[0].name, 0, 0},
                   "node %u '%s' (%s): %s", expand->call.node->origin, control_title(expand),
                   expand->call.node->kind, text);
}

/* The one number of a value, if it is known. */
static bool control_number(const struct onnx_expand *expand, const char *name, double *number)
{
    const struct onnx_value *value = *name ? onnx_infer_value(expand->call.infer, name) : NULL;
    if (!value || !value->known || onnx_file_elements(&value->shape) != 1)
        return false;
    *number = value->known[0];
    return true;
}

/* ---- If ---- */

/* Multiply-accumulates of products and elements of everything else, of the nodes from `first` on. */
static double control_work(const struct onnx_infer *infer, uint32_t first)
{
    double work = 0;
    for (uint32_t n = first; n < infer->nodes.count; n++) {
        struct onnx_call call = {.infer = (struct onnx_infer *)(uintptr_t)infer, .node = &infer->nodes.at[n]};
        const struct onnx_value *out = onnx_call_out(&call, 0), *weight = onnx_call_in(&call, 1);
        double points = out && out->given ? (double)onnx_file_elements(&out->shape) : 0;
        bool product = strstr(call.node->kind, "Conv") || strstr(call.node->kind, "MatMul") ||
                       strcmp(call.node->kind, "Gemm") == 0;
        bool recurrent = onnx_call_in(&call, 2) &&
                         (strcmp(call.node->kind, "LSTM") == 0 || strcmp(call.node->kind, "GRU") == 0);
        if (product && weight && weight->given && weight->shape.rank && weight->shape.dims[0])
            points *= 1 + (double)onnx_file_elements(&weight->shape) / (double)weight->shape.dims[0];
        if (recurrent && weight->shape.rank == 3)
            points *= 1 + 4 * (double)weight->shape.dims[2];
        work += points;
    }
    return work;
}

/* The nodes of a branch, with names under `prefix`; with `give` its outputs become those of the If. */
static bool control_branch(struct onnx_expand *expand, const struct onnx_graph *graph, const char *prefix,
                           bool give)
{
    struct onnx_infer *infer = expand->call.infer;
    struct onnx_scope scope;
    onnx_expand_open(&scope, expand->scope, prefix);
    onnx_expand_weights(infer, graph, &scope);
    bool good = onnx_expand_graph(infer, graph, expand->call.index, &scope);
    for (uint32_t i = 0; good && give && i < graph->outputs.count; i++)
        if (onnx_expand_wants(expand, i))
            onnx_expand_give(expand, i, "Identity",
                             onnx_expand_outer(infer, &scope, graph->outputs.at[i].name), NULL);
    onnx_expand_close(&scope);
    return good;
}

/* The work of a branch on trial; CONTROL_UNKNOWN if it cannot be done. */
static double control_trial(struct onnx_expand *expand, const struct onnx_graph *graph, const char *prefix)
{
    struct onnx_infer *infer = expand->call.infer;
    struct report *report = infer->report, ignored;
    uint32_t first = infer->nodes.count;
    report_init(&ignored);
    infer->report = &ignored;
    bool good = control_branch(expand, graph, prefix, false);
    double work = good ? control_work(infer, first) : CONTROL_UNKNOWN;
    onnx_expand_undo(infer, first);
    infer->report = report;
    report_fini(&ignored);
    return work;
}

static bool control_if(struct onnx_expand *expand)
{
    struct arena *arena = expand->call.infer->arena;
    const struct onnx_graph *graphs[2] = {control_graph(expand, "else_branch"),
                                          control_graph(expand, "then_branch")};
    static const char *const names[] = {"else", "then"};
    double condition;
    if (!graphs[0] || !graphs[1])
        return false;
    bool known = control_number(expand, onnx_expand_in(expand, 0), &condition),
         chosen = known && condition != 0;
    if (!known) {
        double work[2];
        onnx_infer_value(expand->call.infer, onnx_expand_in(expand, 0))->decides = true;
        for (int i = 0; i < 2; i++)
            work[i] = control_trial(expand, graphs[i],
                                    arena_format(arena, "%s/%s-trial", control_title(expand), names[i]));
        chosen = work[1] >= work[0];
        control_say(expand,
                    arena_format(arena,
                                 "its condition is known only when it runs; the %s branch counts, which has "
                                 "more work",
                                 names[chosen]));
    }
    return control_branch(expand, graphs[chosen],
                          arena_format(arena, "%s/%s", control_title(expand), names[chosen]), true);
}

/* ---- Loop ---- */

/* `model.trips.NAME`, or `model.trips` for all. */
static bool control_trips(struct onnx_expand *expand, int64_t *trips)
{
    const struct value *set = expand->call.infer->choices.trips, *value = set;
    *trips = CONTROL_UNKNOWN;
    if (set && set->kind == VALUE_MAP) {
        value = value_get(set, control_title(expand));
        value = value ? value : value_at(set, control_title(expand));
    }
    if (!value)
        return true;
    char *end = NULL;
    long long number = value->kind == VALUE_SCALAR ? strtoll(value->text, &end, 10) : -1;
    if (number < 1 || number > CONTROL_MOST || !end || *end)
        return report_error(
            expand->call.infer->report, value->place,
            "trips: expected a whole number from 1 to %d, or a map of such numbers by the names of "
            "nodes; got %s",
            (int)CONTROL_MOST, value_describe(value, expand->call.infer->arena));
    *trips = number;
    return true;
}

/* What goes around: names of the values of the loop, and what each trip adds to the outputs that it collects.
 */
struct control_loop {
    const struct onnx_graph *body;
    struct onnx_scope lasting; /* of all trips: the weights */
    const char **state;
    uint32_t state_count;
    const char **collected; /* output by output, trip by trip */
    uint32_t collected_count, trips, room;
};

static bool control_open(struct onnx_expand *expand, struct control_loop *loop, uint32_t first_output)
{
    struct onnx_infer *infer = expand->call.infer;
    loop->body = control_graph(expand, "body");
    if (!loop->body)
        return false;
    if (loop->body->outputs.count < loop->state_count + first_output)
        return onnx_call_fail(&expand->call, "has a body that gives %u values, but %u go around",
                              loop->body->outputs.count, loop->state_count + first_output);
    loop->collected_count = loop->body->outputs.count - loop->state_count - first_output;
    onnx_expand_open(&loop->lasting, expand->scope, control_title(expand));
    onnx_expand_weights(infer, loop->body, &loop->lasting);
    return true;
}

/* Remembers what output `k` of a trip is called. */
static void control_collect(struct onnx_expand *expand, struct control_loop *loop, uint32_t k,
                            const char *name)
{
    if (loop->trips >= loop->room) {
        uint32_t room = loop->room ? 2 * loop->room : 16;
        const char **more =
            ARENA_ARRAY(expand->call.infer->arena, const char *, (size_t)room *(loop->collected_count + 1));
        for (uint32_t t = 0; t < loop->trips; t++)
            for (uint32_t i = 0; i < loop->collected_count; i++)
                more[t * loop->collected_count + i] = loop->collected[t * loop->collected_count + i];
        loop->collected = more;
        loop->room = room;
    }
    loop->collected[loop->trips * loop->collected_count + k] = name;
}

/* One trip: the body's inputs stand for `inputs`; its outputs' names go to `outputs`. */
static bool control_trip(struct onnx_expand *expand, struct control_loop *loop, const char *const *inputs,
                         uint32_t input_count, const char **outputs)
{
    struct onnx_infer *infer = expand->call.infer;
    struct onnx_scope scope;
    onnx_expand_open(&scope, &loop->lasting,
                     arena_format(infer->arena, "%s/trip%u", control_title(expand), loop->trips));
    scope.lasting = &loop->lasting;
    for (uint32_t i = 0; i < input_count && i < loop->body->inputs.count; i++)
        onnx_expand_name(&scope, loop->body->inputs.at[i].name, inputs[i]);
    bool good = onnx_expand_room(infer, expand->call.node, expand->call.index, &scope) &&
                onnx_expand_graph(infer, loop->body, expand->call.index, &scope);
    for (uint32_t i = 0; good && i < loop->body->outputs.count; i++)
        outputs[i] = onnx_expand_outer(infer, &scope, loop->body->outputs.at[i].name);
    onnx_expand_close(&scope);
    return good;
}

/* Gives the node's outputs: the last state, and what was collected, stacked along an axis. */
static bool control_give(struct onnx_expand *expand, struct control_loop *loop, const int64_t *axes,
                         bool backwards[])
{
    for (uint32_t i = 0; i < loop->state_count; i++)
        if (onnx_expand_wants(expand, i)) {
            struct onnx_value *last = onnx_infer_value(expand->call.infer, loop->state[i]);
            if (last && last->parts)
                onnx_infer_value(expand->call.infer, expand->call.node->outputs.at[i])->parts = last->parts;
            else
                onnx_expand_give(expand, i, "Identity", loop->state[i], NULL);
        }
    for (uint32_t k = 0; k < loop->collected_count; k++) {
        const char **list = ARENA_ARRAY(expand->call.infer->arena, const char *, loop->trips + 1);
        uint32_t output = loop->state_count + k;
        if (!onnx_expand_wants(expand, output))
            continue;
        if (!loop->trips)
            return onnx_call_fail(&expand->call, "is never done, but collects '%s'",
                                  expand->call.node->outputs.at[output]);
        int64_t axis = axes ? axes[k] : 0;
        for (uint32_t t = 0; t < loop->trips; t++) {
            uint32_t from = backwards && backwards[k] ? loop->trips - 1 - t : t;
            onnx_expand_ints(expand, "axes", &axis, 1);
            list[t] =
                onnx_expand_put(expand, "Unsqueeze", loop->collected[from * loop->collected_count + k], NULL);
        }
        if (expand->failed)
            return false;
        const char *name = expand->call.node->outputs.at[output];
        onnx_expand_int(expand, "axis", axis);
        onnx_expand_many(expand, "Concat", list, loop->trips, &name, 1);
    }
    return !expand->failed;
}

/* How often a loop is done at most, and whether its condition decides. */
static bool control_limit(struct onnx_expand *expand, int64_t *most, bool *decides)
{
    double number;
    bool counted = control_number(expand, onnx_expand_in(expand, 0), &number) && number < CONTROL_MOST;
    if (!control_trips(expand, most))
        return false;
    *decides = *most == CONTROL_UNKNOWN;
    if (*decides && counted)
        *most = number < 0 ? 0 : onnx_call_whole(number);
    return true;
}

static bool control_loop(struct onnx_expand *expand)
{
    struct onnx_infer *infer = expand->call.infer;
    struct control_loop loop = {
        .state_count = expand->call.node->inputs.count > 2 ? expand->call.node->inputs.count - 2 : 0};
    const char *condition = onnx_expand_in(expand, 1);
    int64_t most;
    bool decides, good = control_limit(expand, &most, &decides) && control_open(expand, &loop, 1);
    if (!good)
        return false;
    uint32_t wide = loop.state_count + 2 + loop.body->outputs.count;
    const char **inputs = ARENA_ARRAY(infer->arena, const char *, wide),
               **outputs = ARENA_ARRAY(infer->arena, const char *, wide);
    for (uint32_t i = 0; i < loop.state_count; i++)
        inputs[2 + i] = onnx_expand_in(expand, 2 + i);
    while (good && (most == CONTROL_UNKNOWN || loop.trips < most)) {
        double go = 1;
        bool known = !*condition || control_number(expand, condition, &go);
        if (decides && known && go == 0)
            break;
        if (most == CONTROL_UNKNOWN && (!known || !*condition)) {
            if (loop.trips)
                break;
            control_say(expand,
                        "how often it is done is known only when it runs; it counts as done once; --set "
                        "model.trips.NAME=NUMBER (or model.trips=NUMBER) says how often");
            most = 1;
        }
        inputs[0] = onnx_expand_whole(expand, loop.trips);
        inputs[1] = condition;
        good = !expand->failed && control_trip(expand, &loop, inputs, 2 + loop.state_count, outputs);
        condition = good ? outputs[0] : "";
        for (uint32_t i = 0; good && i < loop.state_count; i++)
            inputs[2 + i] = outputs[1 + i];
        for (uint32_t k = 0; good && k < loop.collected_count; k++)
            control_collect(expand, &loop, k, outputs[1 + loop.state_count + k]);
        loop.trips++;
    }
    loop.state = inputs + 2;
    good = good && control_give(expand, &loop, NULL, NULL);
    onnx_expand_close(&loop.lasting);
    return good;
}

/* ---- Scan ---- */

static int64_t control_axis(struct onnx_expand *expand, const char *list, uint32_t k)
{
    const int64_t *axes;
    uint32_t count = onnx_call_ints(&expand->call, list, &axes);
    return k < count ? axes[k] : 0;
}

/* The slice of a scanned input in one trip. */
static const char *control_slice(struct onnx_expand *expand, uint32_t k, const char *name, int64_t trip,
                                 int64_t trips)
{
    bool backwards = control_axis(expand, "scan_input_directions", k) != 0;
    const char *place = onnx_expand_whole(expand, backwards ? trips - 1 - trip : trip);
    onnx_expand_int(expand, "axis", control_axis(expand, "scan_input_axes", k));
    return onnx_expand_put(expand, "Gather", name, place, NULL);
}

static bool control_scan(struct onnx_expand *expand)
{
    struct onnx_infer *infer = expand->call.infer;
    int64_t scanned = onnx_call_int(&expand->call, "num_scan_inputs", 0), trips = -1;
    uint32_t count = expand->call.node->inputs.count;
    if (infer->file->opset < 9)
        return onnx_call_fail(&expand->call, "is of a version before 9, which is not supported");
    if (scanned < 1 || scanned > count)
        return onnx_call_fail(&expand->call, "scans %lld of its %u inputs", (long long)scanned, count);
    struct control_loop loop = {.state_count = count - (uint32_t)scanned};
    for (uint32_t k = 0; k < scanned; k++) {
        struct onnx_shape shape = onnx_expand_shape(expand, onnx_expand_in(expand, loop.state_count + k));
        uint32_t axis;
        if (!onnx_call_axis(&expand->call, control_axis(expand, "scan_input_axes", k), shape.rank, &axis))
            return false;
        if (trips >= 0 && trips != shape.dims[axis])
            return onnx_call_fail(&expand->call, "scans inputs of different lengths");
        trips = shape.dims[axis];
    }
    if (!control_open(expand, &loop, 0))
        return false;
    uint32_t wide = count + loop.body->outputs.count + 1;
    const char **inputs = ARENA_ARRAY(infer->arena, const char *, wide),
               **outputs = ARENA_ARRAY(infer->arena, const char *, wide);
    int64_t *axes = ARENA_ARRAY(infer->arena, int64_t, wide);
    bool *backwards = ARENA_ARRAY(infer->arena, bool, wide), good = true;
    for (uint32_t i = 0; i < loop.state_count; i++)
        inputs[i] = onnx_expand_in(expand, i);
    for (; good && loop.trips < trips; loop.trips++) {
        for (uint32_t k = 0; k < scanned; k++)
            inputs[loop.state_count + k] =
                control_slice(expand, k, onnx_expand_in(expand, loop.state_count + k), loop.trips, trips);
        good = !expand->failed && control_trip(expand, &loop, inputs, count, outputs);
        for (uint32_t i = 0; good && i < loop.state_count; i++)
            inputs[i] = outputs[i];
        for (uint32_t k = 0; good && k < loop.collected_count; k++)
            control_collect(expand, &loop, k, outputs[loop.state_count + k]);
    }
    for (uint32_t k = 0; k < loop.collected_count; k++) {
        axes[k] = control_axis(expand, "scan_output_axes", k);
        backwards[k] = control_axis(expand, "scan_output_directions", k) != 0;
    }
    loop.state = inputs;
    good = good && control_give(expand, &loop, axes, backwards);
    onnx_expand_close(&loop.lasting);
    return good;
}

const struct onnx_expander onnx_control_expanders[] = {
    {"", "If", control_if, NULL},
    {"", "Loop", control_loop, NULL},
    {"", "Scan", control_scan, NULL},
    {.kind = NULL},
};
