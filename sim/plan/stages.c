#include "plan/stages.h"

#include "plan/balance.h"
#include "plan/layout.h"
#include "plan/orders.h"
#include "plan/owners.h"
#include "plan/split.h"
#include "platform/topology.h"

#include <string.h>

/* Appends the axis of a degree, unless it has one member only. */
static void stages_axis(struct plan *plan, struct plan_stage *stage, enum plan_axis_role role, uint32_t size,
                        const char *const *labels)
{
    static const char *const names[] = {[AXIS_REPLICA] = "replica",
                                        [AXIS_DATA] = "data",
                                        [AXIS_CONTEXT] = "context",
                                        [AXIS_TENSOR] = "tensor"};
    uint32_t axis = stage->axis_count;
    split_axis(plan, stage, names[role], size, labels);
    if (stage->axis_count > axis)
        stage->axes[axis].role = role;
}

void stages_heads(const struct plan *plan, struct plan_stage *stage)
{
    struct names *names = plan->model->names;
    for (uint32_t a = 0; a < stage->axis_count && plan->attention == ATTENTION_ULYSSES; a++) {
        struct plan_axis *axis = &stage->axes[a];
        if (axis->labels[0] != names_add(names, "s"))
            continue;
        axis->within[0] = names_add(names, "g");
        axis->within[1] = names_add(names, "r");
        axis->late = true;
    }
    mesh_late(stage);
}

static void stages_context(const struct stages_degrees *degrees, struct plan *plan, struct plan_stage *stage)
{
    static const char *const labels[] = {"s", NULL};
    uint32_t axis = stage->axis_count;
    stages_axis(plan, stage, AXIS_CONTEXT, degrees->context, labels);
    if (stage->axis_count > axis && plan->attention != ATTENTION_ULYSSES)
        stage->balanced = degrees->balanced ? degrees->context : 0;
}

static void stages_template(const struct stages_degrees *degrees, struct plan *plan, struct plan_stage *stage)
{
    static const char *const data[] = {"b", NULL};
    /* Inner features before groups: of a recurrent layer that is its units, not its gates. */
    static const char *const tensor[] = {"f", "g", "r", "v", NULL};
    static const char *const sequence[] = {"f", "g", "r", "v", "s", NULL};
    stages_axis(plan, stage, AXIS_REPLICA, degrees->data / degrees->group, data);
    stages_axis(plan, stage, AXIS_DATA, degrees->group, data);
    if (degrees->group > 1 && degrees->group < degrees->data)
        stage->axes[stage->axis_count - 1].nests = true;
    stages_context(degrees, plan, stage);
    stages_axis(plan, stage, AXIS_TENSOR, degrees->tensor, degrees->sequence_parallel ? sequence : tensor);
    if (degrees->tensor > 1) { /* of the sequence: inside the shares of a context */
        stage->axes[stage->axis_count - 1].inside = degrees->sequence_parallel;
        split_heads(plan, stage);
    }
    stages_heads(plan, stage);
    stage->lazy = degrees->lazy;
    stage->place = degrees->place;
}

/* The device, or group of devices, that the schedule places a stage on. */
static uint32_t stages_device(const struct plan *plan, const struct schedule_shape *shape, uint32_t stage)
{
    return plan->orders ? plan->orders->device_of[stage] : schedule_device(plan->schedule, shape, stage);
}

bool stages_mirror(struct input *input, struct plan *plan)
{
    bool both = plan->orders ? plan->orders->directions == 2 : plan->schedule->placement == SCHEDULE_BOTH;
    uint32_t cuts = plan->stages.count;
    if (plan->orders && plan->orders->stages != cuts * (both ? 2 : 1))
        return report_error(&input->report, plan->stages.at[0].place,
                            "this schedule is for %u stages; there are %u",
                            plan->orders->stages / plan->orders->directions, cuts);
    struct schedule_shape shape = {.devices = cuts, .chunks = 1};
    for (uint32_t s = 0; both && s < cuts; s++) {
        uint32_t device = stages_device(plan, &shape, cuts + s), t = 0;
        while (t + 1 < cuts && stages_device(plan, &shape, t) != device)
            t++;
        struct plan_stage copy = plan->stages.at[s];
        const struct plan_stage *there = &plan->stages.at[t];
        if (there->devices.count != copy.devices.count)
            return report_error(&input->report, copy.place,
                                "schedule %s has a second copy of this stage on the %u devices of stage %u; "
                                "this one has %u",
                                plan->schedule->name, there->devices.count, t, copy.devices.count);
        copy.devices = (struct index_list){0};
        for (uint32_t i = 0; i < there->devices.count; i++)
            VECTOR_PUSH(&copy.devices, there->devices.at[i]);
        copy.direction = 1;
        VECTOR_PUSH(&plan->stages, copy);
    }
    return true;
}

/* What `plan.order` can name, in the usual order, and the roles of the axes that it means (bit set): the two
 * of `tensor` where it is split in two, and with `data` its replicas. */
static const char *const stages_names[] = {"tensor", "context", "data", "pipeline"};
static const uint32_t stages_roles[] = {1u << AXIS_TENSOR, 1u << AXIS_CONTEXT,
                                        1u << AXIS_DATA | 1u << AXIS_REPLICA, 0};
enum { STAGES_NAMES = FIELDS_COUNT(stages_names) };

/* The axes (bit set) of the k-th name. The pipeline is one more, after the last. */
static uint32_t stages_named(const struct plan_stage *stage, uint32_t k)
{
    uint32_t axes = stages_roles[k] ? 0 : 1u << stage->axis_count;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (stages_roles[k] >> stage->axes[a].role & 1)
            axes |= 1u << a;
    return axes;
}

/* Places axes next on the list of devices, the last of them innermost. */
static void stages_place(const struct stages_degrees *degrees, const struct plan_stage *stage, uint32_t axes,
                         uint32_t steps[], uint32_t *step)
{
    for (uint32_t a = stage->axis_count + 1; a-- > 0;)
        if (axes >> a & 1) {
            steps[a] = *step;
            *step *= a == stage->axis_count ? degrees->pipeline : stage->axes[a].size;
        }
}

/* How far apart neighbours along each axis (and along the pipeline, last) stand in the list of devices. */
static bool stages_order(struct input *input, const struct stages_degrees *degrees,
                         const struct plan_stage *stage, uint32_t steps[])
{
    static const struct field field = {.key = "order", .kind = FIELD_TEXT};
    uint32_t step = 1, done = 0;
    if (degrees->order && !fields_want_list(input, degrees->order, degrees->order->place, "plan.order"))
        return false;
    for (uint32_t i = 0; degrees->order && i < degrees->order->count; i++) {
        const char *name;
        uint32_t known = 0;
        const struct value *value = degrees->order->entries[i].value;
        if (!fields_read_one(input, value, &field, NULL, &name))
            return false;
        while (known < STAGES_NAMES && strcmp(stages_names[known], name) != 0)
            known++;
        if (known == STAGES_NAMES)
            return fields_no_such(input, value->place, "axis to place:", name, stages_names, STAGES_NAMES);
        uint32_t axes = stages_named(stage, known); /* none: of one member */
        if (done & axes)
            return report_error(&input->report, value->place, "plan.order names '%s' twice", name);
        stages_place(degrees, stage, axes, steps, &step);
        done |= axes;
    }
    for (uint32_t k = 0; k < STAGES_NAMES; k++) /* what is not named follows */
        stages_place(degrees, stage, stages_named(stage, k) & ~done, steps, &step);
    return true;
}

static uint32_t stages_position(const struct plan_stage *stage, const uint32_t steps[], uint32_t number,
                                uint32_t member)
{
    struct coordinates at = layout_coordinates(stage, member);
    uint32_t position = number * steps[stage->axis_count];
    for (uint32_t a = 0; a < stage->axis_count; a++)
        position += at.at[a] * steps[a];
    return position;
}

/* The devices of stage `number` in the order of its mesh. */
static void stages_devices(const struct index_list *devices, const uint32_t steps[], uint32_t number,
                           uint32_t members, struct plan_stage *stage)
{
    for (uint32_t i = 0; i < members; i++)
        VECTOR_PUSH(&stage->devices, devices->at[stages_position(stage, steps, number, i)]);
}

/* A sequence can be dealt out where a mask makes its shares unequal and nothing reads neighbours along it. */
static bool stages_balance(const struct model *model)
{
    uint32_t s = names_find(model->names, "s");
    bool causal = false;
    for (uint32_t o = 0; o < model->operators.count; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        causal |= layer_op->causal;
        for (uint32_t i = 0; i <= layer_op->operand_count; i++) {
            const struct operand *at = i ? &layer_op->operands[i - 1] : &layer_op->output;
            const struct tensor *tensor = &model->tensors.at[at->tensor];
            for (uint32_t d = 0; d < tensor->rank; d++)
                if (tensor->dims[d].label == s && (at->dims[d].kernel >= 0 || at->dims[d].offset))
                    return false;
        }
    }
    return causal;
}

/* Deals out the experts of the whole model before it is cut into stages of equal work. */
static bool stages_owned(struct input *input, const struct plan *plan, struct plan_stage *whole)
{
    struct plan scratch = *plan;
    scratch.stages.at = whole;
    scratch.stages.count = 1;
    return owners_apply(input, &scratch);
}

/* Whether each axis of the mesh splits something of the model. Reports those that do not. */
static bool stages_used(struct input *input, const struct stages_degrees *degrees, const struct plan *plan,
                        const struct plan_stage *whole)
{
    bool used = true;
    for (uint32_t a = 0; a < whole->axis_count; a++) {
        const struct plan_axis *axis = &whole->axes[a];
        if (!split_used(plan, whole, a))
            used = report_error(
                &input->report, degrees->place,
                "plan.%s has nothing to split: no layer of this model has such a dimension (it splits %s); "
                "say plan.stages with a split instead",
                names_text(plan->platform->names, axis->name),
                axis->role == AXIS_TENSOR ? "f, g, r, v"
                                          : names_text(plan->platform->names, axis->labels[0]));
    }
    return used;
}

bool stages_expand(struct input *input, const struct stages_degrees *given, const struct index_list *devices,
                   struct plan *plan)
{
    struct stages_degrees wanted = *given, *degrees = &wanted;
    wanted.balanced = given->balanced && stages_balance(plan->model);
    uint32_t each = degrees->data * degrees->context * degrees->tensor, units = plan->model->units.count;
    struct schedule_shape shape = {.devices = degrees->pipeline, .chunks = degrees->chunks};
    const struct orders *orders = plan->orders;
    if (orders && orders->devices != degrees->pipeline)
        return report_error(&input->report, degrees->place,
                            "this schedule is for %u devices; plan.pipeline is %u", orders->devices,
                            degrees->pipeline);
    uint32_t stages = orders ? orders->stages : schedule_stages(plan->schedule, &shape);
    uint32_t cuts = orders ? stages / orders->directions : degrees->pipeline * degrees->chunks;
    if (cuts > units || stages > UINT16_MAX)
        return report_error(&input->report, degrees->place,
                            "a pipeline of %u stages needs as many units; the model has %u", cuts, units);
    struct plan_stage whole = {.unit_count = units};
    stages_template(degrees, plan, &whole);
    uint32_t steps[PLAN_AXES + 1];
    if (!stages_order(input, degrees, &whole, steps))
        return false;
    stages_devices(devices, steps, 0, each, &whole);
    bool used = stages_used(input, degrees, plan, &whole);
    uint32_t *first = ARENA_ARRAY(&input->arena, uint32_t, cuts + 1);
    struct plan_stage meshed = whole;
    if (used && degrees->experts.expert)
        used = mesh_experts(input, &degrees->experts, plan, &meshed);
    if (used && degrees->experts.owned)
        used = stages_owned(input, plan, &meshed);
    if (used)
        balance_units(plan, &meshed, cuts, first, &input->arena);
    VECTOR_FREE(&whole.devices);
    for (uint32_t s = 0; used && s < stages; s++) {
        uint32_t cut = s % cuts, device = stages_device(plan, &shape, s);
        struct plan_stage stage = {
            .first_unit = first[cut], .unit_count = first[cut + 1] - first[cut], .direction = s / cuts};
        stages_template(degrees, plan, &stage);
        stages_devices(devices, steps, device, each, &stage);
        if (degrees->experts.expert)
            used = mesh_experts(input, &degrees->experts, plan, &stage);
        VECTOR_PUSH(&plan->stages, stage);
    }
    return used;
}

struct stages_entry {
    const char *layers;
    const struct value *split, *devices, *fuse;
    bool combiner, lazy;
};

#define AT(member) offsetof(struct stages_entry, member)
static const struct field stages_fields[] = {
    {.key = "layers", .kind = FIELD_TEXT, .offset = AT(layers), .required = true},
    {.key = "split", .kind = FIELD_VALUE, .offset = AT(split)},
    {.key = "devices", .kind = FIELD_VALUE, .offset = AT(devices), .required = true},
    {.key = "combiner", .kind = FIELD_FLAG, .offset = AT(combiner)},
    {.key = "fuse", .kind = FIELD_VALUE, .offset = AT(fuse)},
    {.key = "lazy", .kind = FIELD_FLAG, .offset = AT(lazy)},
};
#undef AT

/* The unit that a name means: a unit, or a layer that is all there is of its unit. MODEL_NONE after
 * reporting. */
static uint32_t stages_unit(struct input *input, const struct model *model, const char *name,
                            struct place place)
{
    uint32_t unit = model_find_unit(model, name);
    if (unit != MODEL_NONE)
        return unit;
    uint32_t layer = model_find_layer(model, name);
    if (layer != MODEL_NONE) {
        const struct model_unit *around = &model->units.at[model->layers.at[layer].unit];
        if (around->layer_count == 1)
            return model->layers.at[layer].unit;
        report_error(&input->report, place,
                     "layer '%s' is inside the unit '%s', which a stage boundary may not cut", name,
                     names_text(model->names, around->name));
        return MODEL_NONE;
    }
    const char **known = ARENA_ARRAY(&input->arena, const char *, model->units.count);
    for (uint32_t u = 0; u < model->units.count; u++)
        known[u] = names_text(model->names, model->units.at[u].name);
    fields_no_such(input, place, "layer", name, known, model->units.count);
    return MODEL_NONE;
}

static bool stages_range(struct input *input, const struct plan *plan, const char *text, struct place place,
                         struct plan_stage *stage)
{
    const char *dots = strstr(text, "..");
    char *first = arena_text(&input->arena, text), *last = first;
    if (dots) {
        first[dots - text] = 0;
        last = arena_text(&input->arena, dots + 2);
    }
    uint32_t low = stages_unit(input, plan->model, first, place),
             high = stages_unit(input, plan->model, last, place);
    if (low == MODEL_NONE || high == MODEL_NONE)
        return false;
    if (high < low)
        return report_error(&input->report, place, "'%s' comes after '%s' in the model", first, last);
    stage->first_unit = low;
    stage->unit_count = high - low + 1;
    return true;
}

static bool stages_is_flag(const char *text)
{
    static const char *const flags[] = {"yes", "no", "true", "false", "on", "off"};
    for (size_t i = 0; text && i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(text, flags[i]) == 0)
            return true;
    return false;
}

/* One range of fused layers, inside its stage and after those before it. */
static bool stages_fuse_range(struct input *input, const struct value *range, const struct plan *plan,
                              struct plan_stage *stage)
{
    static const struct field text = {.key = "fuse", .kind = FIELD_TEXT};
    const char *layers;
    struct plan_stage units = {0};
    if (!fields_read_one(input, range, &text, NULL, &layers) ||
        !stages_range(input, plan, layers, range->place, &units))
        return false;
    if (units.first_unit < stage->first_unit ||
        units.first_unit + units.unit_count > stage->first_unit + stage->unit_count)
        return report_error(&input->report, range->place, "'%s' is not inside the stage", layers);
    for (uint32_t i = 0; i < stage->fused_count; i++)
        if (units.first_unit < stage->fused[i].first_unit + stage->fused[i].unit_count &&
            stage->fused[i].first_unit < units.first_unit + units.unit_count)
            return report_error(&input->report, range->place, "'%s' overlaps another fused block", layers);
    stage->fused[stage->fused_count++] =
        (struct plan_fused){units.first_unit, units.unit_count, range->place};
    return true;
}

/* `fuse: yes` (the stage is one block), `fuse: FIRST..LAST` or a list of such ranges. */
static bool stages_fuse(struct input *input, const struct value *fuse, const struct plan *plan,
                        struct plan_stage *stage)
{
    static const struct field flag = {.key = "fuse", .kind = FIELD_FLAG};
    bool yes = false, list = fuse->kind == VALUE_LIST, good = true;
    stage->fused = ARENA_ARRAY(&input->arena, struct plan_fused, list ? fuse->count + 1 : 1);
    if (stages_is_flag(fuse->text)) {
        good = fields_read_one(input, fuse, &flag, NULL, &yes);
        if (yes)
            stage->fused[stage->fused_count++] =
                (struct plan_fused){stage->first_unit, stage->unit_count, fuse->place};
        return good;
    }
    for (uint32_t i = 0; list && i < fuse->count; i++)
        good = stages_fuse_range(input, fuse->entries[i].value, plan, stage) && good;
    return list ? good : stages_fuse_range(input, fuse, plan, stage);
}

/* Where a fused stage has other tiles than devices, the tiles are dealt to the devices in turn. */
static bool stages_deal(struct input *input, const struct stages_entry *entry, uint32_t members,
                        struct plan *plan, struct plan_stage *stage)
{
    const struct value *split = entry->split;
    for (uint32_t i = 0; split && i < split->count; i++) {
        const struct value *weights = value_get(split->entries[i].value, "weights");
        if (weights && weights->text)
            return report_error(
                &input->report, weights->place,
                "%u tiles are dealt to %u devices: their shares cannot follow the devices' speed", members,
                stage->devices.count);
    }
    const char *labels[PLAN_AXES + 1] = {0};
    for (uint32_t a = 0; a < stage->axis_count; a++) {
        stage->tile_axes[a] = stage->axes[a];
        labels[a] = names_text(plan->platform->names, stage->axes[a].labels[0]);
        stage->axes[a] = (struct plan_axis){0};
    }
    stage->tile_axis_count = stage->axis_count;
    stage->axis_count = 0;
    split_axis(plan, stage, "tile", stage->devices.count, labels);
    if (members < stage->devices.count)
        report_warning(&input->report, split->place,
                       "the split makes %u tiles; of the %u devices some have none", members,
                       stage->devices.count);
    return true;
}

static bool stages_entry(struct input *input, const struct value *item, struct plan *plan,
                         struct plan_stage *stage, bool layered)
{
    struct stages_entry entry = {.lazy = stage->lazy};
    if (!fields_want_map(input, item, item->place, "stage") ||
        !fields_read(input, item, item->place, "stage", stages_fields, FIELDS_COUNT(stages_fields), NULL,
                     &entry))
        return false;
    stage->place = item->place;
    stage->lazy = entry.lazy;
    bool good = stages_range(input, plan, entry.layers, value_get(item, "layers")->place, stage);
    good &= topology_select(input, plan->platform, entry.devices, &stage->devices);
    if (good && entry.split)
        good = split_read(input, entry.split, plan, stage);
    for (uint32_t a = 0; a < stage->axis_count; a++)
        stage->axes[a].combiner = entry.combiner;
    uint32_t members = 1;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        members *= stage->axes[a].size;
    if (good && entry.fuse)
        good = stages_fuse(input, entry.fuse, plan, stage);
    bool whole = stage->fused_count && stage->fused[0].unit_count == stage->unit_count;
    if (good && whole && stage->axis_count && members != stage->devices.count)
        return stages_deal(input, &entry, members, plan, stage);
    if (good && members != stage->devices.count && !(layered && !entry.split))
        good =
            report_error(&input->report, item->place, "the split makes %u shares; the stage has %u devices",
                         members, stage->devices.count);
    if (good && entry.split)
        split_weigh(input, entry.split, plan, stage);
    return good;
}

static const char *stages_unit_name(const struct plan *plan, uint32_t unit)
{
    return names_text(plan->model->names, plan->model->units.at[unit].name);
}

/* A model input is a unit without work: it need not be named, and goes to the stage after it. */
static bool stages_idle(const struct plan *plan, uint32_t unit)
{
    const struct model_unit *u = &plan->model->units.at[unit];
    for (uint32_t l = u->first_layer; l < u->first_layer + u->layer_count; l++)
        if (plan->model->layers.at[l].operator_count)
            return false;
    return true;
}

bool stages_read(struct input *input, const struct value *list, bool lazy, struct plan *plan, bool layered)
{
    bool good = fields_want_list(input, list, list->place, "plan.stages");
    uint32_t next = 0;
    for (uint32_t i = 0; good && i < list->count; i++) {
        struct plan_stage stage = {.lazy = lazy};
        good = stages_entry(input, list->entries[i].value, plan, &stage, layered);
        stages_heads(plan, &stage);
        while (good && stage.first_unit > next && stages_idle(plan, stage.first_unit - 1)) {
            stage.first_unit--;
            stage.unit_count++;
        }
        while (good && stage.first_unit > next && stages_idle(plan, next))
            next++;
        if (good && stage.first_unit > next)
            good = report_error(&input->report, stage.place,
                                "no stage before this one has '%s', which comes before '%s' in the model",
                                stages_unit_name(plan, next), stages_unit_name(plan, stage.first_unit));
        else if (good && stage.first_unit < next)
            good = report_error(&input->report, stage.place, "'%s' is in an earlier stage already",
                                stages_unit_name(plan, stage.first_unit));
        next = stage.first_unit + stage.unit_count;
        VECTOR_PUSH(&plan->stages, stage);
    }
    if (good && next < plan->model->units.count)
        good = report_error(&input->report, list->place, "no stage has '%s' and what comes after it",
                            stages_unit_name(plan, next));
    return good;
}
