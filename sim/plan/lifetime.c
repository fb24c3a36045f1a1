#include "plan/lifetime.h"

#include "plan/memory.h"
#include "plan/recompute.h"
#include "plan/state.h"

static void lifetime_init(struct lifetimes *l, uint32_t actions, struct arena *arena)
{
    *l = (struct lifetimes){0};
    l->first_from = ARENA_ARRAY(arena, uint32_t, actions + 1);
    l->first_to = ARENA_ARRAY(arena, uint32_t, actions + 1);
    for (uint32_t i = 0; i <= actions; i++)
        l->first_from[i] = l->first_to[i] = MODEL_NONE;
}

void lifetime_fini(struct lifetimes *l)
{
    VECTOR_FREE(&l->at);
}

static void lifetime_add(struct lifetimes *l, struct lifetime lifetime)
{
    if (lifetime.bytes <= 0)
        return;
    if (lifetime.to != MODEL_NONE && lifetime.to < lifetime.from)
        lifetime.to = lifetime.from;
    lifetime.next_from = l->first_from[lifetime.from];
    l->first_from[lifetime.from] = l->at.count;
    if (lifetime.to != MODEL_NONE) {
        lifetime.next_to = l->first_to[lifetime.to];
        l->first_to[lifetime.to] = l->at.count;
    }
    VECTOR_PUSH(&l->at, lifetime);
}

void lifetime_begin(const struct lifetimes *l, uint32_t action, struct builder *builder, uint32_t op)
{
    for (uint32_t i = l->first_from[action]; i != MODEL_NONE; i = l->at.at[i].next_from) {
        const struct lifetime *lifetime = &l->at.at[i];
        if (op == PROGRAM_NONE)
            builder_take(builder, lifetime->category, lifetime->label, lifetime->bytes);
        else
            builder_change(builder, op, lifetime->category, lifetime->label, lifetime->bytes);
    }
}

void lifetime_end(const struct lifetimes *l, uint32_t action, struct builder *builder, uint32_t op)
{
    for (uint32_t i = l->first_to[action]; i != MODEL_NONE; i = l->at.at[i].next_to)
        builder_change(builder, op, l->at.at[i].category, l->at.at[i].label, -l->at.at[i].bytes);
}

/* Bytes of the messages of an action that a member receives. */
static double lifetime_received(const struct derivation *d, const struct action *action, uint32_t member)
{
    double elements = 0;
    for (uint32_t i = 0; i < action->message_count; i++)
        if (d->messages.at[action->first_message + i].to == member)
            elements += d->messages.at[action->first_message + i].elements;
    return elements * action->element_bytes;
}

static double lifetime_box(const struct derivation *d, uint32_t tensor, const struct layout *layout,
                           const struct box *boxes, uint32_t member)
{
    const struct tensor *t = state_tensor(d, tensor);
    if (t->internal)
        return 0;
    struct box box = boxes ? layout_hull(boxes[member])
                           : layout_box(d->stage, t, layout, layout_coordinates(d->stage, member), 0);
    return layout_volume(t, &box) * derive_element_bytes(d->plan, t);
}

/* Whether a collective leaves its result where it found its operand. */
static bool lifetime_in_place(const struct action *action)
{
    return action->elements <= 0 && (action->collective == ALL_REDUCE || action->collective == REDUCE ||
                                     action->collective == BROADCAST);
}

static double lifetime_communicated(const struct derivation *d, const struct action *action, uint32_t member)
{
    if (action->kind == ACTION_EXCHANGE)
        return lifetime_received(d, action, member);
    if (action->kind != ACTION_COLLECTIVE || action->streamed || lifetime_in_place(action))
        return 0;             /* what is streamed has its blocks' buffers (streamed.h) */
    if (action->elements > 0) /* statistics */
        return derive_payload(d, action, layout_coordinates(d->stage, member));
    return lifetime_box(d, action->tensor, &action->after, NULL, member);
}

/* The action whose memory the result of an action is in: its own, or that of what it depends on first. */
static void lifetime_roots(const struct derivation *d, uint32_t *root)
{
    for (uint32_t i = 0; i < d->forward.count; i++) {
        const struct action *action = &d->forward.at[i];
        bool place = action->kind == ACTION_RECEIVE; /* further pieces of the same tensor */
        if (action->kind == ACTION_COLLECTIVE)
            place = lifetime_in_place(action);
        if (action->kind == ACTION_KERNEL) {
            const struct layer_op *layer_op = state_operator(d, action->layer_op);
            place = layer_op->kind == OPERATOR_VIEW || layer_op->fused ||
                    state_tensor(d, layer_op->output.tensor)->internal;
        }
        root[i] = place && action->dependency_count ? root[d->dependencies.at[action->first_dependency]] : i;
    }
}

/* The last action that uses what each one made; what nobody uses here is the result of the pass. */
static void lifetime_uses(const struct derivation *d, const bool *again, const uint32_t *root, uint32_t *use)
{
    uint32_t end = d->forward.count ? d->forward.count - 1 : 0;
    for (uint32_t i = 0; i < d->forward.count; i++)
        use[i] = 0;
    for (uint32_t j = d->forward.count; j-- > 0;) {
        const struct action *action = &d->forward.at[j];
        if (again && !again[j])
            continue;
        if (!use[j])
            use[j] = d->plan->training || action->kind != ACTION_KERNEL ? j : end;
        for (uint32_t k = 0; k < action->dependency_count; k++) {
            uint32_t from = d->dependencies.at[action->first_dependency + k];
            if (again && recompute_chunk(d->plan, d->stage, d->forward.at[from].unit).first !=
                             recompute_chunk(d->plan, d->stage, action->unit).first)
                continue; /* they run at different times: what is read there is kept */
            bool passes = root[j] == root[from] || action->kind == ACTION_EXCHANGE || action->streamed;
            uint32_t until = passes ? use[j] : j;
            use[from] = until > use[from] ? until : use[from];
        }
    }
}

/* Bytes of what each action makes for itself on a member. */
static void lifetime_makes(const struct derivation *d, uint32_t member, const uint32_t *root, double *bytes)
{
    for (uint32_t i = 0; i < d->forward.count; i++) {
        const struct action *action = &d->forward.at[i];
        bytes[i] = action->kind == ACTION_KERNEL ? memory_output(d, action->layer_op, member)
                                                 : lifetime_communicated(d, action, member);
    }
    for (uint32_t f = 0; f < d->imports.count; f++) { /* also what was on this device already */
        const struct stage_import *import = &d->imports.at[f];
        const struct form *form = &d->forms.at[import->form];
        uint32_t made = form->action == MODEL_NONE ? MODEL_NONE : root[form->action];
        if (made != MODEL_NONE && d->forward.at[made].kind == ACTION_RECEIVE)
            bytes[made] = lifetime_box(d, import->tensor, &form->layout, form->boxes, member);
    }
}

static uint8_t lifetime_category(const struct derivation *d, const struct action *action)
{
    bool received = action->kind == ACTION_RECEIVE;
    if (!d->plan->training && (action->kind == ACTION_KERNEL || received))
        return MEMORY_ACTIVATIONS;
    return action->kind == ACTION_KERNEL ? MEMORY_TEMPORARIES : MEMORY_COMMUNICATION;
}

/* What the backward pass will read is no temporary; in the forward pass its life begins where it is made. */
static void lifetime_saved(const struct derivation *d, uint32_t member, const bool *again,
                           const uint32_t *root, double *bytes, struct lifetimes *l)
{
    for (uint32_t i = 0; i < d->saved.count; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        uint32_t made = d->forms.at[saved->form].action;
        if (made != MODEL_NONE && (again || saved->kept) && saved->extra <= 0)
            bytes[root[made]] = 0;
        if (!again && saved->kept && saved->first_kept)
            lifetime_add(l, (struct lifetime){.from = made == MODEL_NONE ? 0 : root[made],
                                              .to = MODEL_NONE,
                                              .bytes = memory_copy(d, saved, member),
                                              .label = state_tensor(d, saved->tensor)->name,
                                              .category = MEMORY_ACTIVATIONS});
    }
}

/* Memory that a kernel needs while it runs. */
static void lifetime_workspace(const struct derivation *d, uint32_t index, uint32_t member, uint32_t action,
                               struct lifetimes *l)
{
    const struct layer_op *layer_op = state_operator(d, index);
    if (layer_op->workspace <= 0)
        return;
    double points = assign_points(d->stage, layer_op, &d->operators.at[index].assignment,
                                  layout_coordinates(d->stage, member));
    lifetime_add(l, (struct lifetime){.from = action,
                                      .to = action,
                                      .bytes = layer_op->workspace * points,
                                      .label = state_tensor(d, layer_op->output.tensor)->name,
                                      .category = MEMORY_TEMPORARIES});
}

void lifetime_forward(const struct derivation *d, uint32_t member, const bool *again, struct arena *arena,
                      struct lifetimes *l)
{
    uint32_t count = d->forward.count;
    uint32_t *root = ARENA_ARRAY(arena, uint32_t, count + 1), *use = ARENA_ARRAY(arena, uint32_t, count + 1);
    double *bytes = ARENA_ARRAY(arena, double, count + 1);
    lifetime_init(l, count, arena);
    lifetime_roots(d, root);
    lifetime_uses(d, again, root, use);
    lifetime_makes(d, member, root, bytes);
    if (count && d->plan->training)
        lifetime_saved(d, member, again, root, bytes, l);
    for (uint32_t i = 0; i < count; i++) {
        const struct action *action = &d->forward.at[i];
        if (again && !again[i])
            continue;
        if (root[i] == i)
            lifetime_add(l, (struct lifetime){.from = i,
                                              .to = use[i],
                                              .bytes = bytes[i],
                                              .label = state_tensor(d, action->tensor)->name,
                                              .category = lifetime_category(d, action)});
        if (action->kind == ACTION_KERNEL)
            lifetime_workspace(d, action->layer_op, member, i, l);
    }
}

/* The gradient of a tensor on its way through the backward pass. */
struct lifetime_gradient {
    uint32_t end;          /* the last action that reads it, also through what passes it on */
    uint32_t first, count; /* actions on it, in `actions` */
};

struct lifetime_backward {
    const struct derivation *d;
    uint32_t member;
    struct lifetime_gradient *gradients; /* per tensor */
    uint32_t *actions;
    struct lifetimes *l;
};

/* Conversions of a gradient and what finally reads it; not what is gathered again, nor statistics. */
static bool lifetime_of_gradient(const struct action *action)
{
    return action->kind == ACTION_KERNEL ||
           (action->kind != ACTION_RECEIVE && action->reason != REASON_SAVED && action->elements <= 0);
}

static void lifetime_index(struct lifetime_backward *b, struct arena *arena)
{
    const struct derivation *d = b->d;
    uint32_t next = 0, tensors = d->plan->model->tensors.count;
    b->gradients = ARENA_ARRAY(arena, struct lifetime_gradient, tensors);
    b->actions = ARENA_ARRAY(arena, uint32_t, d->backward.count + 1);
    for (uint32_t i = 0; i < d->backward.count; i++)
        if (lifetime_of_gradient(&d->backward.at[i]))
            b->gradients[d->backward.at[i].tensor].count++;
    for (uint32_t t = 0; t < tensors; t++) {
        b->gradients[t].first = next;
        next += b->gradients[t].count;
        b->gradients[t].count = 0;
    }
    for (uint32_t i = 0; i < d->backward.count; i++) {
        struct lifetime_gradient *gradient = &b->gradients[d->backward.at[i].tensor];
        if (!lifetime_of_gradient(&d->backward.at[i]))
            continue;
        b->actions[gradient->first + gradient->count++] = i;
        gradient->end = i;
    }
}

/* Whether an operator's backward pass gives an operand the gradient of its output itself. */
static bool lifetime_passes(const struct derivation *d, const struct layer_op *layer_op, uint32_t tensor)
{
    bool reads = layer_op->output_saved || layer_op->saved_per_output > 0;
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        reads |= layer_op->operands[i].saved;
        if (layer_op->operands[i].tensor == tensor && layer_op->operands[i].added)
            return true;
    }
    bool same =
        model_elements(state_tensor(d, tensor)) == model_elements(state_tensor(d, layer_op->output.tensor));
    return layer_op->kind == OPERATOR_VIEW || layer_op->fused ||
           (layer_op->kind == OPERATOR_POINTWISE && !reads && same);
}

static bool lifetime_alias(const struct derivation *d, uint32_t tensor, const struct contribution *given)
{
    const struct action *maker = &d->backward.at[given->action];
    return maker->kind == ACTION_KERNEL && lifetime_passes(d, state_operator(d, maker->layer_op), tensor);
}

/* The contribution in whose buffer the others are added: the first that has one of its own; MODEL_NONE: none
 * has. */
static uint32_t lifetime_holder(const struct derivation *d, uint32_t tensor, uint32_t tile)
{
    uint32_t holder = MODEL_NONE;
    for (uint32_t c = d->first_contribution[tensor]; c != MODEL_NONE; c = d->contributions.at[c].next) {
        const struct contribution *given = &d->contributions.at[c];
        if (given->tile == tile && given->action != MODEL_NONE && !lifetime_alias(d, tensor, given) &&
            (holder == MODEL_NONE || given->action < d->contributions.at[holder].action))
            holder = c;
    }
    return holder;
}

/* A kernel that passes on what it reads prolongs its life: to the end of that of what it is then, or until it
 * is added to another gradient of that. From the last kernel backwards, so that those ends are known. */
static void lifetime_prolong(struct lifetime_backward *b)
{
    const struct derivation *d = b->d;
    for (uint32_t i = d->backward.count; i-- > 0;) {
        const struct action *action = &d->backward.at[i];
        if (action->kind != ACTION_KERNEL)
            continue;
        const struct layer_op *layer_op = state_operator(d, action->layer_op);
        for (uint32_t k = 0; k < layer_op->operand_count; k++) {
            uint32_t tensor = layer_op->operands[k].tensor;
            if (d->first_contribution[tensor] == MODEL_NONE || layer_op->operands[k].feedback ||
                !lifetime_passes(d, layer_op, tensor))
                continue;
            uint32_t holder = lifetime_holder(d, tensor, 0);
            uint32_t until =
                holder == MODEL_NONE ? b->gradients[tensor].end : d->contributions.at[holder].action;
            if (until > b->gradients[action->tensor].end)
                b->gradients[action->tensor].end = until;
        }
    }
}

/* The first conversion of a gradient from action `from` on that moves it to another buffer; else its end. */
static uint32_t lifetime_until(const struct lifetime_backward *b, uint32_t tensor, uint32_t from)
{
    const struct lifetime_gradient *gradient = &b->gradients[tensor];
    for (uint32_t k = 0; k < gradient->count; k++) {
        uint32_t i = b->actions[gradient->first + k];
        const struct action *action = &b->d->backward.at[i];
        if (i > from && action->kind == ACTION_COLLECTIVE && !action->streamed && !lifetime_in_place(action))
            return i;
    }
    return gradient->end;
}

/* The last kernel of a tile that reads a gradient. */
static uint32_t lifetime_tile(const struct lifetime_backward *b, uint32_t tensor, uint32_t tile)
{
    const struct lifetime_gradient *gradient = &b->gradients[tensor];
    uint32_t end = 0;
    for (uint32_t k = 0; k < gradient->count; k++) {
        const struct action *action = &b->d->backward.at[b->actions[gradient->first + k]];
        if (action->kind == ACTION_KERNEL && b->d->operators.at[action->layer_op].tile == tile)
            end = b->actions[gradient->first + k];
    }
    return end;
}

static void lifetime_contributions(struct lifetime_backward *b, uint32_t tensor)
{
    const struct derivation *d = b->d;
    for (uint32_t c = d->first_contribution[tensor]; c != MODEL_NONE; c = d->contributions.at[c].next) {
        const struct contribution *given = &d->contributions.at[c];
        bool block = given->action != MODEL_NONE && d->backward.at[given->action].streamed &&
                     !d->operators.at[d->backward.at[given->action].layer_op].panels;
        if (given->action == MODEL_NONE || block || lifetime_alias(d, tensor, given))
            continue; /* what streams to its owner arrives in a block's buffer */
        uint32_t to = given->action;
        if (lifetime_holder(d, tensor, given->tile) == c)
            to = given->tile ? lifetime_tile(b, tensor, given->tile)
                             : lifetime_until(b, tensor, given->action);
        bool received = d->backward.at[given->action].kind == ACTION_RECEIVE;
        lifetime_add(
            b->l, (struct lifetime){.from = given->action,
                                    .to = to,
                                    .bytes = lifetime_box(d, tensor, &given->layout, given->boxes, b->member),
                                    .label = state_tensor(d, tensor)->name,
                                    .category = received ? MEMORY_COMMUNICATION : MEMORY_TEMPORARIES});
    }
}

/* The last action that waits for another one. */
static uint32_t lifetime_waiting(const struct derivation *d, uint32_t index)
{
    uint32_t last = index;
    for (uint32_t i = index + 1; i < d->backward.count; i++)
        for (uint32_t k = 0; k < d->backward.at[i].dependency_count; k++)
            if (d->dependencies.at[d->backward.at[i].first_dependency + k] == index)
                last = i;
    return last;
}

static void lifetime_conversion(struct lifetime_backward *b, uint32_t index)
{
    const struct action *action = &b->d->backward.at[index];
    bool gradient = lifetime_of_gradient(action) && action->kind == ACTION_COLLECTIVE;
    double bytes = lifetime_communicated(b->d, action, b->member);
    if (bytes > 0)
        lifetime_add(b->l, (struct lifetime){.from = index,
                                             .to = gradient ? lifetime_until(b, action->tensor, index)
                                                            : lifetime_waiting(b->d, index),
                                             .bytes = bytes,
                                             .label = state_tensor(b->d, action->tensor)->name,
                                             .category = MEMORY_COMMUNICATION});
}

void lifetime_backward(const struct derivation *d, uint32_t member, struct arena *arena, struct lifetimes *l)
{
    struct lifetime_backward b = {.d = d, .member = member, .l = l};
    lifetime_init(l, d->backward.count, arena);
    lifetime_index(&b, arena);
    lifetime_prolong(&b);
    for (uint32_t t = 0; t < d->plan->model->tensors.count; t++)
        lifetime_contributions(&b, t);
    for (uint32_t i = 0; i < d->backward.count; i++)
        if (d->backward.at[i].kind == ACTION_KERNEL)
            lifetime_workspace(d, d->backward.at[i].layer_op, member, i, l);
        else
            lifetime_conversion(&b, i);
}

double lifetime_weights(const struct derivation *d, uint32_t index, uint32_t member)
{
    double elements = 0;
    const struct plan *plan = d->plan;
    if (plan->zero >= 2 || plan->micro_batches < 2 ||
        plan->gradient_precision == plan->accumulation_precision)
        return 0;
    for (uint32_t i = 0; i < d->parameters.count; i++)
        if (d->parameters.at[i].layer_op == index)
            elements += memory_parameter(d, i, member);
    return elements * precision_bytes(plan->gradient_precision);
}
