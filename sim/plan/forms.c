#include "plan/forms.h"

#include "plan/boundary.h"
#include "plan/exchange.h"
#include "plan/search.h"

#include <math.h>

/* Whether a form's layout says, without a look at what each member has, that it gives what is wanted: axes
 * are whole, or split like that. Shares of shares are another matter: those of an inner axis depend on the
 * outer one. */
static bool forms_alike(const struct derivation *d, const struct form *form, const struct form_want *want)
{
    uint32_t splits[TENSOR_DIMS] = {0}, wanted_splits[TENSOR_DIMS] = {0};
    bool alike = !form->boxes && !want->boxes;
    for (uint32_t a = 0; a < d->stage->axis_count && alike; a++) {
        uint8_t place = form->layout.place[a], dim = form->layout.dim[a];
        bool same = want->layout.place[a] == place && (place != PLACE_SPLIT || want->layout.dim[a] == dim);
        bool nested = place == PLACE_SPLIT && splits[dim]++ > 0;
        if (want->layout.place[a] == PLACE_SPLIT)
            nested |= wanted_splits[want->layout.dim[a]]++ > 0;
        alike = !nested && (same || place == PLACE_REPLICATED);
    }
    return alike;
}

/* What a member needs of what is wanted: its share, of which its operator may read just a part. */
static struct box forms_read(const struct derivation *d, const struct convert_side *wanted,
                             const struct form_want *want, uint32_t member)
{
    struct box share = convert_box(wanted, member);
    if (!want->operand || want->boxes)
        return share;
    struct box read = assign_box(d->stage, d->plan->model, state_operator(d, want->layer_op),
                                 &d->operators.at[want->layer_op].assignment, want->operand,
                                 layout_coordinates(d->stage, member));
    return layout_intersection(&share, &read, wanted->tensor->rank);
}

bool forms_satisfies(const struct derivation *d, const struct form *form, const struct form_want *want)
{
    if (form->streamed || (form->tile && form->tile != want->tile))
        return false;
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (form->layout.place[a] == PLACE_PARTIAL && want->layout.place[a] != PLACE_PARTIAL)
            return false;
    if (forms_alike(d, form, want))
        return true;
    const struct tensor *tensor = state_tensor(d, want->tensor);
    struct convert_side held = {d->stage, tensor, form->layout, form->boxes};
    struct convert_side wanted = {d->stage, tensor, want->layout, want->boxes};
    for (uint32_t m = 0; m < d->member_count; m++) {
        struct box outer = convert_box(&held, m), inner = forms_read(d, &wanted, want, m);
        if (!layout_covers(&outer, &inner, tensor->rank))
            return false;
    }
    return true;
}

/* The collectives that bring a form into the wanted layout, and their predicted seconds. Where members hold
 * other parts than their shares, just the axes that must change are touched. */
static uint32_t forms_steps(const struct derivation *d, const struct form *form, const struct form_want *want,
                            struct convert_step steps[CONVERT_STEPS], double *seconds)
{
    const struct tensor *tensor = state_tensor(d, want->tensor);
    double bytes = derive_element_bytes(d->plan, tensor) / state_steps(d, want->tensor, want->layer_op);
    if (state_owns_shares(d, form, want->tensor))
        return search_steps(d->search, tensor, bytes, form->layout, want->layout, steps, seconds);
    uint32_t count = convert_steps(d->stage, form->layout, want->layout, steps);
    *seconds = 0;
    for (uint32_t i = 0; i < count; i++)
        *seconds += search_step_seconds(d->search, tensor, bytes, &steps[i]);
    return count;
}

/* Predicted seconds of a conversion, to choose the cheapest of several forms. */
static double forms_cost(const struct derivation *d, const struct form *form, const struct form_want *want)
{
    struct convert_step steps[CONVERT_STEPS];
    double seconds;
    forms_steps(d, form, want, steps, &seconds);
    return seconds;
}

static struct action forms_collective(const struct derivation *d, const struct convert_step *step,
                                      const struct form_want *want)
{
    const struct tensor *tensor = state_tensor(d, want->tensor);
    struct action action = {.kind = ACTION_COLLECTIVE,
                            .collective = step->collective,
                            .axis = step->axis,
                            .axes = step->axes,
                            .tensor = want->tensor,
                            .before = step->before,
                            .after = step->after,
                            .layer_op = want->layer_op,
                            .unit = want->unit,
                            .part = want->part,
                            .element_bytes = derive_element_bytes(d->plan, tensor)};
    state_reason(d, &action, state_contracted(d, want->tensor, step->axis));
    return action;
}

bool forms_whole(const struct derivation *d, uint32_t form, uint32_t tensor)
{
    const struct form *f = &d->forms.at[form];
    bool produced = form == d->first_form[tensor] && f->action != MODEL_NONE &&
                    d->forward.at[f->action].kind == ACTION_KERNEL;
    return !f->boxes || produced || state_owns_shares(d, f, tensor);
}

/* Whether collectives would leave a member without its share: a dimension stays split along which the form's
 * boxes are not the shares. */
static bool forms_displaced(const struct derivation *d, const struct form *form, const struct form_want *want)
{
    const struct tensor *tensor = state_tensor(d, want->tensor);
    for (uint32_t m = 0; form->boxes && m < d->member_count; m++) {
        struct box share = layout_box(d->stage, tensor, &form->layout, layout_coordinates(d->stage, m), 0);
        for (uint32_t a = 0; a < d->stage->axis_count; a++) {
            uint8_t dim = form->layout.dim[a];
            bool stays = form->layout.place[a] == PLACE_SPLIT && want->layout.place[a] == PLACE_SPLIT &&
                         want->layout.dim[a] == dim;
            if (stays && (share.dims[dim].low < form->boxes[m].dims[dim].low ||
                          share.dims[dim].high > form->boxes[m].dims[dim].high))
                return true;
        }
    }
    return false;
}

/* Appends the point-to-point messages that turn what the members hold into what they want; none when they
 * have it already. Returns the new form's index. */
static uint32_t forms_exchange(struct derivation *d, const struct form *held, const struct form_want *want)
{
    const struct tensor *tensor = state_tensor(d, want->tensor);
    struct form made = {
        .layout = want->layout, .boxes = want->boxes, .action = held->action, .tile = want->tile};
    struct convert_side from = {d->stage, tensor, held->layout, held->boxes};
    struct convert_side to = {d->stage, tensor, want->layout, want->boxes};
    struct action base = {
        .tensor = want->tensor, .layer_op = want->layer_op, .unit = want->unit, .part = want->part};
    uint32_t exchange = MODEL_NONE;
    if (want->boxes || held->boxes)
        exchange = exchange_append(d, false, base, &from, &to, &made.action, 1);
    if (exchange != MODEL_NONE)
        made.action = exchange;
    else if (layout_equal(&held->layout, &want->layout, d->stage->axis_count))
        made.boxes = held->boxes; /* all that members have, for later operators */
    return state_form(d, want->tensor, made);
}

uint32_t forms_convert(struct derivation *d, uint32_t form_index, const struct form_want *want)
{
    struct form form = d->forms.at[form_index];
    struct convert_step steps[CONVERT_STEPS];
    double seconds;
    uint32_t count = forms_steps(d, &form, want, steps, &seconds);
    if (count && forms_displaced(d, &form, want)) {
        if (!layout_partial(&form.layout))
            return forms_exchange(d, &form, want); /* shares that nobody has need not be made */
        struct form_want shares = *want;
        shares.layout = form.layout;
        shares.boxes = NULL;
        uint32_t made = forms_exchange(d, &form, &shares); /* this may move the list of forms */
        form = d->forms.at[made];
    }
    /* After the collectives every member holds its share in their last layout: slices that follow are free,
     * and leave it all of what it wants of them. What it wants beyond that is exchanged. */
    struct form held = {.layout = count ? steps[count - 1].after : form.layout, .action = form.action};
    for (uint32_t i = 0; i < count; i++)
        held.action = state_action(d, false, forms_collective(d, &steps[i], want), &held.action, 1);
    if (count && !layout_equal(&held.layout, &want->layout, d->stage->axis_count))
        state_form(d, want->tensor, /* before it is sliced: later operators may read it like that */
                   (struct form){.layout = held.layout, .action = held.action, .tile = want->tile});
    if (!count && form.boxes && !state_owns_shares(d, &form, want->tensor))
        held.boxes = form.boxes;
    return forms_exchange(d, &held, want);
}

uint32_t forms_obtain(struct derivation *d, const struct form_want *want)
{
    uint32_t best = MODEL_NONE;
    double least = INFINITY;
    for (uint32_t f = d->first_form[want->tensor]; f != MODEL_NONE; f = d->forms.at[f].next) {
        if (forms_satisfies(d, &d->forms.at[f], want))
            return f;
        if (d->forms.at[f].tile || d->forms.at[f].streamed)
            continue; /* what another tile has, or is never there at once, is no source */
        double cost = forms_cost(d, &d->forms.at[f], want);
        if (cost < least && forms_whole(d, f, want->tensor)) {
            least = cost;
            best = f;
        }
    }
    if (best == MODEL_NONE || boundary_there(d, want))
        return boundary_import(d, want);
    return forms_convert(d, best, want);
}
