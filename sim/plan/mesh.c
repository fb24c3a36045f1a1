#include "plan/mesh.h"

#include "plan/assign.h"
#include "plan/split.h"
#include "plan/stages.h"

#include <stdio.h>
#include <string.h>

static uint32_t mesh_members(const struct plan_mesh *mesh)
{
    uint32_t members = 1;
    for (uint32_t a = 0; a < mesh->axis_count; a++)
        members *= mesh->axes[a].size;
    return members;
}

/* Notes the positions at which a mesh is cut: products of its sizes from the innermost axis, in ascending
 * order and each once. */
static void mesh_cuts(const struct plan_mesh *mesh, uint32_t cuts[], uint32_t *count)
{
    uint32_t product = 1;
    for (uint32_t a = mesh->axis_count; a-- > 0;) {
        uint32_t at = 0;
        product *= mesh->axes[a].size;
        while (at < *count && cuts[at] < product)
            at++;
        if (at < *count && cuts[at] == product)
            continue;
        memmove(cuts + at + 1, cuts + at, (*count - at) * sizeof *cuts);
        cuts[at] = product;
        ++*count;
    }
}

/* An axis of the stage is called as the axis of a mesh that is just it, or as that of the first mesh with a
 * number. */
static void mesh_name_axis(struct plan *plan, struct plan_stage *stage, uint32_t axis)
{
    char text[128];
    struct plan_axis *piece = &stage->axes[axis];
    for (uint32_t m = 0; m < stage->mesh_count && !piece->name; m++)
        for (uint32_t a = 0; a < stage->meshes[m].axis_count; a++)
            if (stage->meshes[m].parts[a] == 1u << axis && !piece->name) {
                piece->name = stage->meshes[m].axes[a].name;
                piece->role = stage->meshes[m].axes[a].role;
                piece->weights = stage->meshes[m].axes[a].weights;
            }
    for (uint32_t m = 0; m < stage->mesh_count && !piece->name; m++)
        for (uint32_t a = 0; a < stage->meshes[m].axis_count && !piece->name; a++)
            if (stage->meshes[m].parts[a] >> axis & 1) {
                uint32_t number = 0;
                for (uint32_t before = 0; before < axis; before++)
                    number += stage->meshes[m].parts[a] >> before & 1;
                snprintf(text, sizeof text, "%s.%u",
                         names_text(plan->platform->names, stage->meshes[m].axes[a].name), number);
                piece->name = names_add(plan->platform->names, text);
            }
}

/* Makes the stage's axes from its meshes. */
static bool mesh_refine(struct input *input, struct plan *plan, struct plan_stage *stage, struct place place)
{
    uint32_t cuts[PLAN_MESHES * PLAN_AXES + 1] = {1}, count = 1;
    for (uint32_t m = 0; m < stage->mesh_count; m++)
        mesh_cuts(&stage->meshes[m], cuts, &count);
    for (uint32_t c = 1; c < count; c++)
        if (cuts[c] % cuts[c - 1])
            return report_error(
                &input->report, place,
                "these splits of the same devices cross: one has groups of %u neighbouring "
                "devices, another of %u; choose numbers, or an order, of which each divides the "
                "next",
                cuts[c - 1], cuts[c]);
    if (count - 1 > PLAN_AXES)
        return report_error(&input->report, place,
                            "the splits of these devices have %u pieces; the most is %d", count - 1,
                            PLAN_AXES);
    stage->axis_count = count - 1;
    memset(stage->axes, 0, sizeof stage->axes);
    for (uint32_t c = 1; c < count; c++)
        stage->axes[count - 1 - c].size = cuts[c] / cuts[c - 1];
    for (uint32_t m = 0; m < stage->mesh_count; m++) {
        struct plan_mesh *mesh = &stage->meshes[m];
        uint32_t product = 1, piece = count - 1, inner = 1;
        for (uint32_t a = mesh->axis_count; a-- > 0;) {
            product *= mesh->axes[a].size;
            mesh->parts[a] = 0;
            while (inner < product) {
                inner *= stage->axes[--piece].size;
                mesh->parts[a] |= 1u << piece;
            }
        }
    }
    for (uint32_t a = 0; a < stage->axis_count; a++)
        mesh_name_axis(plan, stage, a);
    mesh_late(stage);
    return true;
}

/* Shares in proportions hold for all that is split along the axes they stand on. */
static bool mesh_unweighted(struct input *input, const struct plan_mesh *mesh, struct place place)
{
    for (uint32_t a = 0; a < mesh->axis_count; a++)
        if (mesh->axes[a].weights)
            return report_error(&input->report, place,
                                "weights cannot stand where layers of a stage are split in different ways");
    return true;
}

/* Appends a mesh to a stage; the first time, makes the stage's axes the mesh of all operators. */
static struct plan_mesh *mesh_append(struct input *input, const struct plan *plan, struct plan_stage *stage,
                                     uint8_t **mesh_of)
{
    uint32_t operators = plan->model->operators.count;
    *mesh_of = ARENA_ARRAY(&input->arena, uint8_t, operators + 1);
    if (stage->mesh_of)
        memcpy(*mesh_of, stage->mesh_of, operators);
    struct plan_mesh *meshes = ARENA_ARRAY(&input->arena, struct plan_mesh, PLAN_MESHES);
    if (stage->meshes) {
        memcpy(meshes, stage->meshes, stage->mesh_count * sizeof *meshes);
    } else {
        memcpy(meshes[0].axes, stage->axes, sizeof stage->axes);
        meshes[0].axis_count = stage->axis_count;
        stage->mesh_count = 1;
    }
    stage->meshes = meshes;
    stage->mesh_of = *mesh_of;
    return &meshes[stage->mesh_count++];
}

static void mesh_axis(struct plan *plan, struct plan_mesh *mesh, const char *name, uint32_t size,
                      const char *const *labels)
{
    struct plan_stage scratch = {.axis_count = mesh->axis_count};
    split_axis(plan, &scratch, name, size, labels);
    if (scratch.axis_count > mesh->axis_count)
        mesh->axes[mesh->axis_count++] = scratch.axes[scratch.axis_count - 1];
}

bool mesh_experts(struct input *input, const struct mesh_experts *experts, struct plan *plan,
                  struct plan_stage *stage)
{
    static const char *const data[] = {"b", "s", NULL}, *const expert[] = {"e", NULL},
                             *const inner[] = {"f", NULL};
    const struct model *model = plan->model;
    uint32_t members = 1, each = experts->expert * experts->tensor, most = 0;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        members *= stage->axes[a].size;
    for (uint32_t o = 0; o < model->operators.count; o++)
        for (uint32_t d = 0; d < model->operators.at[o].dim_count && model->operators.at[o].expert; d++)
            if (model->operators.at[o].dims[d].filling && model->operators.at[o].dims[d].size > most)
                most = (uint32_t)model->operators.at[o].dims[d].size;
    if (!most)
        return report_error(&input->report, experts->place,
                            "plan.expert divides the experts of a mixture, but this model has none");
    if (experts->expert > most && !experts->owned)
        return report_error(
            &input->report, experts->place,
            "plan.expert is %u, but the model's mixtures have %u experts: some devices would own "
            "none",
            experts->expert, most);
    if (members % each)
        return report_error(&input->report, experts->place,
                            "expert %u x expert-tensor %u = %u does not divide the %u devices of a stage",
                            experts->expert, experts->tensor, each, members);
    uint8_t *mesh_of;
    struct plan_mesh *mesh = mesh_append(input, plan, stage, &mesh_of);
    mesh_axis(plan, mesh, "expert-data", members / each, data);
    mesh_axis(plan, mesh, "expert", experts->expert, expert);
    if (experts->expert > 1)
        mesh->axes[mesh->axis_count - 1].owned = experts->owned;
    mesh_axis(plan, mesh, "expert-tensor", experts->tensor, inner);
    for (uint32_t o = 0; o < model->operators.count; o++)
        if (model->operators.at[o].expert)
            mesh_of[o] = (uint8_t)(stage->mesh_count - 1);
    return mesh_refine(input, plan, stage, experts->place);
}

/* ---- plan.layers ---- */

struct mesh_entry {
    const char *match;
    const struct value *split;
};

static const struct field mesh_fields[] = {
    {.key = "match", .kind = FIELD_TEXT, .offset = offsetof(struct mesh_entry, match), .required = true},
    {.key = "split", .kind = FIELD_VALUE, .offset = offsetof(struct mesh_entry, split), .required = true},
};

/* Whether a pattern, in which `*` stands for any text, is a name. */
static bool mesh_matches(const char *pattern, const char *name)
{
    for (; *pattern && *pattern != '*'; pattern++, name++)
        if (*pattern != *name)
            return false;
    if (!*pattern)
        return !*name;
    for (;; name++) {
        if (mesh_matches(pattern + 1, name))
            return true;
        if (!*name)
            return false;
    }
}

/* What an operator is matched by: its layer's name; the experts of a mixture "LAYER.experts". */
static bool mesh_matched(struct input *input, const struct model *model, uint32_t layer_op,
                         const char *pattern)
{
    const struct layer_op *op = &model->operators.at[layer_op];
    const char *name = names_text(model->names, model->layers.at[op->layer].name);
    return mesh_matches(pattern, op->expert ? arena_format(&input->arena, "%s.experts", name) : name);
}

static bool mesh_in_stage(const struct model *model, const struct plan_stage *stage, uint32_t layer_op)
{
    uint32_t unit = model->layers.at[model->operators.at[layer_op].layer].unit;
    return unit >= stage->first_unit && unit - stage->first_unit < stage->unit_count;
}

/* Whether an axis of a mesh splits something that the mesh is for. */
static bool mesh_used(const struct plan *plan, const struct plan_stage *stage, uint32_t mesh, uint32_t axis)
{
    for (uint32_t o = 0; o < plan->model->operators.count; o++) {
        if (stage->mesh_of[o] != mesh || !mesh_in_stage(plan->model, stage, o))
            continue;
        struct assignment assignment = assign_operator(stage, plan->model, &plan->model->operators.at[o]);
        for (uint32_t a = 0; a < stage->axis_count; a++)
            if (stage->meshes[mesh].parts[axis] >> a & 1 && assignment.split[a] >= 0)
                return true;
    }
    return false;
}

/* Checks the product, and after the stage's axes are there that each axis splits something. */
static bool mesh_fits(struct input *input, const struct plan_stage *stage, const struct plan_mesh *mesh,
                      const struct mesh_entry *entry)
{
    if (mesh_members(mesh) != stage->devices.count)
        return report_error(&input->report, entry->split->place,
                            "the split of '%s' makes %u shares; the stage has %u devices", entry->match,
                            mesh_members(mesh), stage->devices.count);
    return mesh_unweighted(input, mesh, entry->split->place);
}

/* One entry in one stage. `matched`: per operator, 1 + the entry that has it. */
static bool mesh_entry_apply(struct input *input, const struct mesh_entry *entry, uint32_t number,
                             struct plan *plan, struct plan_stage *stage, uint32_t *matched, bool *any)
{
    uint32_t count = 0;
    for (uint32_t o = 0; o < plan->model->operators.count; o++) {
        if (!mesh_in_stage(plan->model, stage, o) || !mesh_matched(input, plan->model, o, entry->match))
            continue;
        if (matched[o])
            return report_error(&input->report, entry->split->place,
                                "layer '%s' has a split by an earlier entry already: two entries match it",
                                names_text(plan->model->names,
                                           plan->model->layers.at[plan->model->operators.at[o].layer].name));
        matched[o] = number + 1;
        count++;
    }
    if (!count)
        return true;
    *any = true;
    if (stage->mesh_count + !stage->meshes >= PLAN_MESHES)
        return report_error(&input->report, entry->split->place, "a stage has at most %d different splits",
                            PLAN_MESHES - 1);
    struct plan_stage scratch = *stage;
    scratch.axis_count = 0;
    scratch.meshes = NULL;
    if (!split_read(input, entry->split, plan, &scratch))
        return false;
    stages_heads(plan, &scratch);
    uint8_t *mesh_of;
    struct plan_mesh *mesh = mesh_append(input, plan, stage, &mesh_of);
    memcpy(mesh->axes, scratch.axes, sizeof mesh->axes);
    mesh->axis_count = scratch.axis_count;
    for (uint32_t o = 0; o < plan->model->operators.count; o++)
        if (matched[o] == number + 1 && mesh_in_stage(plan->model, stage, o))
            mesh_of[o] = (uint8_t)(stage->mesh_count - 1);
    return mesh_fits(input, stage, mesh, entry);
}

/* Layers without a split of their own in a stage without one take that of the layer before them, else after.
 */
static void mesh_inherit(struct input *input, const struct plan *plan, struct plan_stage *stage,
                         const uint32_t *matched)
{
    uint8_t *mesh_of = arena_copy(&input->arena, stage->mesh_of, plan->model->operators.count);
    uint32_t first = MODEL_NONE;
    uint8_t last = 0;
    for (uint32_t o = 0; o < plan->model->operators.count; o++) {
        if (!mesh_in_stage(plan->model, stage, o))
            continue;
        if (matched[o]) {
            last = mesh_of[o];
            first = first == MODEL_NONE ? o : first;
        } else if (mesh_of[o] == 0) {
            mesh_of[o] = last;
        }
    }
    for (uint32_t o = 0; o < first && first != MODEL_NONE; o++)
        if (mesh_in_stage(plan->model, stage, o) && mesh_of[o] == 0)
            mesh_of[o] = mesh_of[first];
    stage->mesh_of = mesh_of;
}

static bool mesh_stage(struct input *input, const struct value *list, const struct mesh_entry *entries,
                       struct plan *plan, struct plan_stage *stage, bool *any)
{
    uint32_t *matched = ARENA_ARRAY(&input->arena, uint32_t, plan->model->operators.count + 1);
    bool good = true, split = stage->axis_count > 0 || stage->devices.count == 1;
    for (uint32_t i = 0; good && i < list->count; i++)
        good = mesh_entry_apply(input, &entries[i], i, plan, stage, matched, &any[i]);
    if (!good || !stage->meshes)
        return good && (split || report_error(&input->report, stage->place,
                                              "the stage has %u devices, but no layer of it has a split",
                                              stage->devices.count));
    if (stage->fused_count)
        return report_error(&input->report, stage->fused[0].place,
                            "fused layers cannot stand in a stage whose layers have splits of their own");
    if (split && !mesh_unweighted(input, &stage->meshes[0], list->place))
        return false;
    if (!split)
        mesh_inherit(input, plan, stage, matched);
    if (!mesh_refine(input, plan, stage, list->place))
        return false;
    for (uint32_t m = 1; good && m < stage->mesh_count; m++)
        for (uint32_t a = 0; good && a < stage->meshes[m].axis_count; a++)
            for (uint32_t o = 0; !mesh_used(plan, stage, m, a) && good && o < plan->model->operators.count;
                 o++)
                if (matched[o] && stage->mesh_of[o] == m)
                    good =
                        report_error(&input->report, entries[matched[o] - 1].split->place,
                                     "no layer that '%s' matches has a dimension '%s' to split",
                                     entries[matched[o] - 1].match,
                                     names_text(plan->platform->names, stage->meshes[m].axes[a].labels[0]));
    return good;
}

bool mesh_layers(struct input *input, const struct value *list, struct plan *plan)
{
    if (!fields_want_list(input, list, list->place, "plan.layers"))
        return false;
    struct mesh_entry *entries = ARENA_ARRAY(&input->arena, struct mesh_entry, list->count + 1);
    bool *any = ARENA_ARRAY(&input->arena, bool, list->count + 1), good = true;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct value *item = list->entries[i].value;
        good = fields_want_map(input, item, item->place, "an entry of plan.layers") &&
               fields_read(input, item, item->place, "an entry of plan.layers", mesh_fields,
                           FIELDS_COUNT(mesh_fields), NULL, &entries[i]) &&
               good;
    }
    for (uint32_t s = 0; good && s < plan->stages.count; s++)
        good = mesh_stage(input, list, entries, plan, &plan->stages.at[s], any);
    for (uint32_t i = 0; good && i < list->count; i++) {
        const char **known = ARENA_ARRAY(&input->arena, const char *, plan->model->layers.count);
        for (uint32_t l = 0; l < plan->model->layers.count; l++)
            known[l] = names_text(plan->model->names, plan->model->layers.at[l].name);
        if (!any[i])
            good = fields_no_such(input, value_get(list->entries[i].value, "match")->place, "layer",
                                  entries[i].match, known, plan->model->layers.count);
    }
    return good;
}

static void mesh_late_axis(struct plan_stage *stage, const struct plan_axis *axis, uint32_t parts)
{
    if (!axis->late)
        return;
    stage->late |= parts;
    stage->late_labels[0] = axis->within[0];
    stage->late_labels[1] = axis->within[1];
}

void mesh_late(struct plan_stage *stage)
{
    stage->late = 0;
    for (uint32_t a = 0; a < stage->axis_count && !stage->meshes; a++)
        mesh_late_axis(stage, &stage->axes[a], 1u << a);
    for (uint32_t m = 0; m < stage->mesh_count && stage->meshes; m++)
        for (uint32_t a = 0; a < stage->meshes[m].axis_count; a++)
            mesh_late_axis(stage, &stage->meshes[m].axes[a], stage->meshes[m].parts[a]);
}

/* ---- names ---- */

/* Writes the names of the axes of a mesh that make up a set exactly; false when none do. */
static bool mesh_name_in(const struct plan_mesh *mesh, uint32_t axes, const struct names *names, char *buffer,
                         size_t size)
{
    size_t used = 0;
    uint32_t left = axes;
    buffer[0] = 0;
    for (uint32_t a = 0; a < mesh->axis_count && used < size; a++) {
        if (!mesh->parts[a] || mesh->parts[a] & ~axes)
            continue;
        left &= ~mesh->parts[a];
        if (mesh->axes[a].joined && a && !(mesh->parts[a - 1] & ~axes))
            continue; /* one axis to the user */
        used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? "+" : "",
                                 names_text(names, mesh->axes[a].name));
    }
    return !left;
}

char *mesh_name(const struct plan_stage *stage, uint32_t axes, const struct names *names, char *buffer,
                size_t size)
{
    struct plan_mesh own = {.axis_count = stage->axis_count};
    for (uint32_t m = 0; m < stage->mesh_count && stage->meshes; m++)
        if (mesh_name_in(&stage->meshes[m], axes, names, buffer, size))
            return buffer;
    for (uint32_t a = 0; a < stage->axis_count; a++) {
        own.axes[a] = stage->axes[a];
        own.parts[a] = 1u << a;
    }
    mesh_name_in(&own, axes, names, buffer, size);
    return buffer;
}

bool mesh_joins(const struct plan_stage *stage, uint32_t axes)
{
    for (uint32_t m = 0; m < stage->mesh_count && stage->meshes; m++)
        for (uint32_t a = 0, whole = 0; a < stage->meshes[m].axis_count; a++) {
            whole = stage->meshes[m].parts[a] | (stage->meshes[m].axes[a].joined ? whole : 0);
            if (!(axes & ~whole))
                return true;
        }
    for (uint32_t a = 0, whole = 0; a < stage->axis_count && !stage->meshes; a++) {
        whole = 1u << a | (stage->axes[a].joined ? whole : 0);
        if (!(axes & ~whole))
            return true;
    }
    return false;
}
