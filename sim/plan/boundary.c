#include "plan/boundary.h"

#include "plan/search.h"

#include <math.h>
#include <string.h>

static struct derivation *boundary_all(struct derivation *d)
{
    return d - d->stage_index; /* derivations stand in one array, in the order of the stages */
}

/* The stage that runs a tensor's producer. */
static uint32_t boundary_source(const struct derivation *d, uint32_t tensor)
{
    const struct model *model = d->plan->model;
    uint32_t unit = model->layers.at[model->tensors.at[tensor].layer].unit;
    for (uint32_t s = 0; s < d->plan->stages.count; s++) {
        const struct plan_stage *stage = &d->plan->stages.at[s];
        if (stage->direction == d->stage->direction && unit >= stage->first_unit &&
            unit - stage->first_unit < stage->unit_count)
            return s;
    }
    return MODEL_NONE;
}

/* Whether two stages have the same axis in the same place. */
static bool boundary_alike(const struct plan_stage *one, const struct plan_stage *other, uint32_t axis)
{
    return axis < one->axis_count && axis < other->axis_count &&
           one->axes[axis].name == other->axes[axis].name && one->axes[axis].size == other->axes[axis].size;
}

/* Predicted seconds of bringing all summands of a tensor into a layout. */
static double boundary_seconds(struct derivation *d, uint32_t tensor, const struct layout *from,
                               uint32_t count, struct layout to)
{
    struct convert_step steps[CONVERT_STEPS];
    double bytes = derive_element_bytes(d->plan, state_tensor(d, tensor)), seconds, all = 0;
    for (uint32_t i = 0; i < count; i++) {
        search_steps(d->search, state_tensor(d, tensor), bytes, from[i], to, steps, &seconds);
        all += seconds;
    }
    return all;
}

/* A layout from which a collective need not be done that only moves what members own: the same with its axes
 * as they were before. */
static struct layout boundary_without(const struct derivation *d, const struct convert_step *step,
                                      struct layout to)
{
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (step->axes >> a & 1 && step->before.place[a] != PLACE_PARTIAL) {
            to.place[a] = step->before.place[a];
            to.dim[a] = step->before.dim[a];
        }
    return to;
}

struct layout boundary_nearest(struct derivation *d, uint32_t tensor, const struct layout *from,
                               uint32_t count, struct layout wanted)
{
    struct convert_step steps[CONVERT_STEPS];
    double bytes = derive_element_bytes(d->plan, state_tensor(d, tensor)), before = INFINITY;
    double least = boundary_seconds(d, tensor, from, count, wanted);
    while (least < before) { /* each time fewer seconds: this ends */
        struct layout best = wanted;
        before = least;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t n =
                     search_steps(d->search, state_tensor(d, tensor), bytes, from[i], wanted, steps, NULL);
                 n-- > 0;) {
                struct layout other = boundary_without(d, &steps[n], wanted);
                double seconds = boundary_seconds(d, tensor, from, count, other);
                if (seconds < least) {
                    least = seconds;
                    best = other;
                }
            }
        wanted = best;
    }
    return wanted;
}

/* Makes sure that the source has a form without partial sums: a partial axis is reduced to shares where the
 * importing stage has the same axis and splits the same dimension along it, else to whole copies. */
static void boundary_reduce(struct derivation *source, const struct form_want *want,
                            const struct plan_stage *importer)
{
    uint32_t first = source->first_form[want->tensor];
    for (uint32_t f = first; f != MODEL_NONE; f = source->forms.at[f].next)
        if (!layout_partial(&source->forms.at[f].layout) && forms_whole(source, f, want->tensor))
            return;
    struct layout target = source->forms.at[first].layout;
    for (uint32_t a = 0; a < source->stage->axis_count; a++) {
        if (target.place[a] != PLACE_PARTIAL)
            continue;
        bool alike = boundary_alike(source->stage, importer, a);
        target.place[a] = alike ? want->layout.place[a] : PLACE_REPLICATED;
        target.dim[a] = alike ? want->layout.dim[a] : 0;
    }
    if (!source->forms.at[first].boxes)
        target = boundary_nearest(source, want->tensor, &source->forms.at[first].layout, 1, target);
    const struct model_unit *last =
        &source->plan->model->units.at[source->stage->first_unit + source->stage->unit_count - 1];
    uint32_t layer = last->first_layer + last->layer_count - 1;
    struct form_want reduced = {.tensor = want->tensor,
                                .layer_op = MODEL_NONE,
                                .layout = target,
                                .unit = source->stage->first_unit + source->stage->unit_count - 1,
                                .part = source->plan->model->layers.at[layer].part};
    forms_convert(source, first, &reduced);
}

/* Whether a tensor that is partial goes to one device only, which then adds the summands itself (a reduction
 * to one member): whole sums for all members of the source would be made for nobody. */
static bool boundary_added(const struct derivation *source, const struct form_want *want,
                           const struct plan_stage *importer)
{
    const struct form *first = &source->forms.at[source->first_form[want->tensor]];
    for (uint32_t f = source->first_form[want->tensor]; f != MODEL_NONE; f = source->forms.at[f].next)
        if (!layout_partial(&source->forms.at[f].layout) && forms_whole(source, f, want->tensor))
            return false;
    const struct layer_op *producer =
        &source->plan->model->operators.at[state_tensor(source, want->tensor)->producer];
    return importer->devices.count == 1 &&
           (producer->kind == OPERATOR_EINSUM || producer->linear || producer->additive) &&
           layout_partial(&first->layout) && !first->boxes;
}

/* The messages of that: every summand, from one of the members that have the same. */
static uint32_t boundary_add(const struct derivation *source, const struct convert_side *to, uint32_t tensor,
                             struct message_list *messages)
{
    uint32_t form = source->first_form[tensor], device = to->stage->devices.at[0];
    const struct layout *layout = &source->forms.at[form].layout;
    struct box wanted = convert_box(to, 0);
    struct coordinates own = {{0}}; /* of copies, those are taken that the device is among */
    for (uint32_t m = 0; m < source->member_count; m++)
        if (source->stage->devices.at[m] == device)
            own = layout_coordinates(source->stage, m);
    for (uint32_t m = 0; m < source->member_count; m++) {
        struct coordinates at = layout_coordinates(source->stage, m);
        bool copy = source->stage->devices.at[m] == device;
        for (uint32_t a = 0; a < source->stage->axis_count; a++)
            copy |= layout->place[a] == PLACE_REPLICATED && at.at[a] != own.at[a];
        struct box held = layout_box(source->stage, to->tensor, layout, at, 0);
        struct box both = layout_intersection(&held, &wanted, to->tensor->rank);
        double elements = layout_volume(to->tensor, &both);
        if (!copy && elements > 0)
            VECTOR_PUSH(messages, ((struct message_part){m, 0, elements}));
    }
    return form;
}

static double boundary_volume(const struct message_list *messages)
{
    double elements = 0;
    for (uint32_t i = 0; i < messages->count; i++)
        elements += messages->at[i].elements;
    return elements;
}

/* The messages from the source's form that needs the fewest bytes sent. */
static uint32_t boundary_choose(struct derivation *source, const struct convert_side *to, uint32_t tensor,
                                struct message_list *messages)
{
    uint32_t best = MODEL_NONE;
    double least = INFINITY;
    for (uint32_t f = source->first_form[tensor]; f != MODEL_NONE; f = source->forms.at[f].next) {
        const struct form *form = &source->forms.at[f];
        if (layout_partial(&form->layout) || form->streamed || !forms_whole(source, f, tensor))
            continue;
        struct convert_side from = {source->stage, to->tensor, form->layout, NULL};
        if (form->boxes && !state_owns_shares(source, form, tensor))
            from.boxes = form->boxes;
        struct message_list candidate = {0};
        convert_messages(&from, to, false, &candidate);
        if (boundary_volume(&candidate) < least) {
            least = boundary_volume(&candidate);
            VECTOR_FREE(messages);
            *messages = candidate;
            best = f;
        } else {
            VECTOR_FREE(&candidate);
        }
    }
    return best;
}

static uint32_t boundary_slots(const struct derivation *d, uint32_t source)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->imports.count; i++)
        count += d->imports.at[i].source == source;
    return count;
}

/* The SEND (on the source's list, if it is a stage) and the RECEIVE of one tensor. `with`: an earlier RECEIVE
 * that whoever waits for this one waits for too, or MODEL_NONE. */
static uint32_t boundary_pair(struct derivation *d, uint32_t source, uint32_t source_action,
                              const struct form_want *want, const struct message_list *messages,
                              uint32_t slot, uint32_t with)
{
    struct action action = {.tensor = want->tensor,
                            .layer_op = want->layer_op,
                            .unit = want->unit,
                            .part = want->part,
                            .reason = REASON_STAGE,
                            .slot = slot,
                            .element_bytes = derive_element_bytes(d->plan, state_tensor(d, want->tensor))};
    if (source != MODEL_NONE) {
        struct derivation *from = &boundary_all(d)[source];
        struct action send = action;
        send.kind = ACTION_SEND;
        send.peer = d->stage_index;
        send.layer_op = MODEL_NONE;
        send.unit = from->stage->first_unit + from->stage->unit_count - 1;
        state_messages(from, &send, messages);
        state_action(from, false, send, &source_action, 1);
    }
    action.kind = ACTION_RECEIVE;
    action.peer = source;
    state_messages(d, &action, messages);
    return state_action(d, false, action, &with, 1);
}

bool boundary_everywhere(const struct derivation *d, uint32_t tensor)
{
    bool outside =
        d->plan->input_device == MODEL_NONE || d->plan->past; /* what is cached is where it is read */
    return state_tensor(d, tensor)->producer == MODEL_NONE && outside;
}

void boundary_feed(struct derivation *from, uint32_t chosen, struct derivation *to, uint32_t input)
{
    for (uint32_t f = to->first_form[input]; f != MODEL_NONE; f = to->forms.at[f].next) {
        const struct form *read = &to->forms.at[f], *made = &from->forms.at[from->first_form[chosen]];
        struct convert_side source = {from->stage, state_tensor(from, chosen), made->layout, made->boxes};
        struct convert_side wanted = {to->stage, state_tensor(to, input), read->layout, read->boxes};
        struct message_list messages = {0};
        convert_messages(&source, &wanted, false, &messages);
        if (messages.count) {
            const struct layer *layer = &to->plan->model->layers.at[state_tensor(to, input)->layer];
            struct form_want want = {
                .tensor = input, .layer_op = MODEL_NONE, .unit = to->stage->first_unit, .part = layer->part};
            uint32_t slot = boundary_slots(to, from->stage_index);
            boundary_pair(to, from->stage_index, made->action, &want, &messages, slot, MODEL_NONE);
            to->forward.at[to->forward.count - 1].feeds = true;
            from->forward.at[from->forward.count - 1 - (from == to)].feeds = true;
            VECTOR_PUSH(&to->imports, ((struct stage_import){.tensor = input,
                                                             .source = from->stage_index,
                                                             .form = f,
                                                             .source_form = MODEL_NONE,
                                                             .slot = slot}));
        }
        VECTOR_FREE(&messages);
    }
}

bool boundary_there(struct derivation *d, const struct form_want *want)
{
    const struct tensor *tensor = state_tensor(d, want->tensor);
    if (tensor->producer == MODEL_NONE)
        return boundary_everywhere(d, want->tensor);
    uint32_t source = boundary_source(d, want->tensor);
    if (source == d->stage_index)
        return false;
    struct convert_side to = {d->stage, tensor, want->layout, want->boxes};
    struct message_list messages = {0};
    uint32_t form = boundary_choose(&boundary_all(d)[source], &to, want->tensor, &messages);
    bool there = form != MODEL_NONE && !messages.count;
    VECTOR_FREE(&messages);
    return there;
}

/* Whether this stage has imported a tensor already: its gradient then goes back with that import. */
static bool boundary_imported(const struct derivation *d, const struct form_want *want)
{
    for (uint32_t i = 0; i < d->imports.count; i++)
        if (d->imports.at[i].tensor == want->tensor && d->imports.at[i].tile == want->tile)
            return true;
    return false;
}

/* Whether a stage made a tensor tile by tile: no form of it is whole. */
static bool boundary_in_tiles(const struct derivation *source, uint32_t tensor)
{
    return source->forms.at[source->first_form[tensor]].tile > 0;
}

/* Imports a tensor that the source made tile by tile: each tile is sent when it is ready. */
static uint32_t boundary_join(struct derivation *d, uint32_t source, const struct form_want *want)
{
    const struct tensor *tensor = state_tensor(d, want->tensor);
    struct derivation *other = &boundary_all(d)[source];
    struct convert_side to = {d->stage, tensor, want->layout, want->boxes};
    bool gradient = d->needs_gradient[want->tensor] && !boundary_imported(d, want);
    uint32_t first = d->imports.count;
    struct form made = {
        .layout = want->layout, .boxes = want->boxes, .action = MODEL_NONE, .tile = want->tile};
    for (uint32_t f = other->first_form[want->tensor]; f != MODEL_NONE; f = other->forms.at[f].next) {
        const struct form *form = &other->forms.at[f];
        struct convert_side from = {other->stage, tensor, form->layout, form->boxes};
        struct message_list messages = {0};
        convert_messages(&from, &to, false, &messages);
        uint32_t slot = boundary_slots(d, source);
        made.action = boundary_pair(d, source, form->action, want, &messages, slot, made.action);
        VECTOR_FREE(&messages);
        VECTOR_PUSH(&d->imports, ((struct stage_import){.tensor = want->tensor,
                                                        .source = source,
                                                        .source_form = f,
                                                        .slot = slot,
                                                        .tile = want->tile,
                                                        .gradient = gradient}));
    }
    uint32_t form = state_form(d, want->tensor, made);
    for (uint32_t i = first; i < d->imports.count; i++)
        d->imports.at[i].form = form;
    return form;
}

uint32_t boundary_import(struct derivation *d, const struct form_want *want)
{
    const struct tensor *tensor = state_tensor(d, want->tensor);
    struct form made = {
        .layout = want->layout, .boxes = want->boxes, .action = MODEL_NONE, .tile = want->tile};
    uint32_t source = MODEL_NONE, source_form = MODEL_NONE, source_action = MODEL_NONE;
    struct message_list messages = {0};
    struct convert_side to = {d->stage, tensor, want->layout, want->boxes};
    if (boundary_everywhere(d, want->tensor))
        return state_form(d, want->tensor, made);
    if (tensor->producer == MODEL_NONE) {
        uint32_t device = d->plan->input_device;
        struct plan_stage outside = {.devices = {&device, 1, 1}};
        struct convert_side from = {&outside, tensor, {.late = 0}, NULL};
        convert_messages(&from, &to, false, &messages);
    } else {
        source = boundary_source(d, want->tensor);
        if (boundary_in_tiles(&boundary_all(d)[source], want->tensor))
            return boundary_join(d, source, want);
        struct derivation *other = &boundary_all(d)[source];
        if (boundary_added(other, want, d->stage)) {
            source_form = boundary_add(other, &to, want->tensor, &messages);
        } else {
            boundary_reduce(other, want, d->stage);
            source_form = boundary_choose(other, &to, want->tensor, &messages);
        }
        source_action = other->forms.at[source_form].action;
    }
    uint32_t slot = boundary_slots(d, source);
    made.action = boundary_pair(d, source, source_action, want, &messages, slot, MODEL_NONE);
    VECTOR_FREE(&messages);
    uint32_t form = state_form(d, want->tensor, made);
    bool gradient = d->needs_gradient[want->tensor] && !boundary_imported(d, want);
    VECTOR_PUSH(&d->imports, ((struct stage_import){.tensor = want->tensor,
                                                    .source = source,
                                                    .form = form,
                                                    .source_form = source_form,
                                                    .slot = slot,
                                                    .tile = want->tile,
                                                    .gradient = gradient}));
    return form;
}

/* The layout that a stage wants a gradient in: that in which it computed the tensor, partial read as
 * replicated. */
static struct layout boundary_produced(const struct derivation *d, uint32_t tensor)
{
    return layout_reduced(d->forms.at[d->first_form[tensor]].layout);
}

struct layout boundary_required(struct derivation *d, const struct stage_import *import)
{
    struct derivation *source = &boundary_all(d)[import->source];
    struct layout required = layout_reduced(d->forms.at[import->form].layout);
    struct layout produced = boundary_produced(source, import->tensor);
    uint32_t taken = 0; /* dimensions that some axis splits */
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (required.place[a] == PLACE_SPLIT)
            taken |= 1u << required.dim[a];
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (required.place[a] == PLACE_REPLICATED && produced.place[a] == PLACE_SPLIT &&
            boundary_alike(d->stage, source->stage, a) && !(taken >> produced.dim[a] & 1)) {
            required.place[a] = PLACE_SPLIT;
            required.dim[a] = produced.dim[a];
            taken |= 1u << produced.dim[a];
        }
    return required;
}

void boundary_return(struct derivation *d, const struct stage_import *import, const uint32_t *dependencies,
                     uint32_t count)
{
    struct derivation *source = &boundary_all(d)[import->source];
    const struct tensor *tensor = state_tensor(d, import->tensor);
    const struct form *here = &d->forms.at[import->form], *there = &source->forms.at[import->source_form];
    struct convert_side from = {d->stage, tensor, import->returned, NULL};
    struct convert_side to = {source->stage, tensor, boundary_produced(source, import->tensor), NULL};
    if (import->tile) /* what this tile read, where others read it too: the receiver adds */
        from = (struct convert_side){d->stage, tensor, here->layout, here->boxes};
    if (there->tile)
        to.boxes = there->boxes;
    struct message_list messages = {0};
    convert_messages(&from, &to, false, &messages);
    struct action send = {
        .kind = ACTION_SEND,
        .tensor = import->tensor,
        .layer_op = MODEL_NONE,
        .unit = d->stage->first_unit,
        .part = d->plan->model->layers.at[d->plan->model->units.at[d->stage->first_unit].first_layer].part,
        .reason = REASON_STAGE,
        .peer = import->source,
        .slot = import->slot,
        .element_bytes = derive_element_bytes(d->plan, tensor)};
    state_messages(d, &send, &messages);
    state_action(d, true, send, dependencies, count);
    VECTOR_FREE(&messages);
}

/* The tile that a gradient is sent back to; NULL when the tensor was not made in tiles. */
static const struct form *boundary_piece(const struct derivation *source, const struct derivation *importer,
                                         const struct action *sent)
{
    for (uint32_t i = 0; i < importer->imports.count; i++) {
        const struct stage_import *import = &importer->imports.at[i];
        if (import->source == source->stage_index && import->slot == sent->slot)
            return source->forms.at[import->source_form].tile ? &source->forms.at[import->source_form] : NULL;
    }
    return NULL;
}

void boundary_collect(struct derivation *derivations, uint32_t stage)
{
    struct derivation *d = &derivations[stage];
    for (uint32_t s = stage + 1; s < d->plan->stages.count; s++)
        for (uint32_t i = 0; i < derivations[s].backward.count; i++) {
            struct action sent = derivations[s].backward.at[i];
            if (sent.kind != ACTION_SEND || sent.peer != stage)
                continue;
            struct message_list messages = {derivations[s].messages.at + sent.first_message,
                                            sent.message_count, sent.message_count};
            struct action action = sent;
            action.kind = ACTION_RECEIVE;
            action.peer = s;
            action.unit = d->stage->first_unit + d->stage->unit_count - 1;
            state_messages(d, &action, &messages);
            const struct form *made = boundary_piece(d, &derivations[s], &sent);
            struct contribution given = {.layout = boundary_produced(d, sent.tensor),
                                         .boxes = made ? made->boxes : NULL,
                                         .tile = made ? made->tile : 0,
                                         .next = d->first_contribution[sent.tensor]};
            given.action = state_action(d, true, action, NULL, 0);
            d->first_contribution[sent.tensor] = d->contributions.count;
            VECTOR_PUSH(&d->contributions, given);
        }
}
