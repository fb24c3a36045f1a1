/* Exchanges in the executor, straight and through coordinators (exchange.h): which elements a message
 * carries, found element by element from what members hold and want, and what they do. */
#ifndef PARTITA_TESTS_EXECUTOR_EXCHANGE_H
#define PARTITA_TESTS_EXECUTOR_EXCHANGE_H

#include "executor.h"

#include "plan/exchange.h"

/* What the members of a stage may send in an exchange, and what they want. */
struct run_sides {
    struct layout layout; /* in which it is held: of members that hold the same, each sends to its like */
    struct box *own, *wanted;
};

static inline struct run_sides run_sides(struct executor *x, const struct stage_run *s)
{
    return (struct run_sides){.own = ARENA_ARRAY(&x->arena, struct box, s->d->member_count),
                              .wanted = ARENA_ARRAY(&x->arena, struct box, s->d->member_count)};
}

/* Whether a member has something for another that this one's own copy does not have. */
static inline bool run_pair(const struct stage_run *s, const struct run_sides *sides, uint32_t from,
                            uint32_t to)
{
    struct coordinates f = run_at(s, from), t = run_at(s, to);
    bool differ = false;
    for (uint32_t a = 0; a < s->d->stage->axis_count; a++) {
        uint8_t place = sides->layout.place[a];
        bool apart = place == PLACE_SPLIT || place == PLACE_ONE;
        if ((place == PLACE_ONE && f.at[a]) || (!apart && f.at[a] != t.at[a]))
            return false;
        differ |= f.at[a] != t.at[a];
    }
    return differ;
}

/* Whether what `owner` has for `reader` goes from one member to another in this exchange. */
static inline bool run_passes(const struct stage_run *s, const struct action *a, uint32_t from, uint32_t to,
                              uint32_t owner, uint32_t reader)
{
    bool crosses = exchange_between(s->d->stage, owner, reader) & a->axes;
    uint32_t root = crosses ? exchange_root(s->d->stage, a->axes, owner) : owner;
    if (a->leg == EXCHANGE_STRAIGHT)
        return from == owner && to == reader;
    if (a->leg == EXCHANGE_TO_ROOT)
        return from == owner && to == root && owner != root;
    return from == root && to == reader;
}

/* Marks the elements that go from one member to another. In the exchange from coordinators, those that go
 * from one to itself are what it got for itself in the one before. */
static inline bool *run_marks(struct executor *x, const struct stage_run *s, const struct action *a,
                              const struct run_sides *sides, uint32_t from, uint32_t to)
{
    bool *marks = ARENA_ARRAY(&x->arena, bool, run_elements(x, a->tensor));
    const struct tensor *tensor = run_tensor(x, a->tensor);
    for (uint32_t owner = 0; owner < s->d->member_count; owner++)
        for (uint32_t reader = 0; reader < s->d->member_count; reader++) {
            if (!run_pair(s, sides, owner, reader) || !run_passes(s, a, from, to, owner, reader))
                continue;
            for (size_t i = 0; i < run_elements(x, a->tensor); i++)
                marks[i] |= run_inside(tensor, &sides->own[owner], i) &&
                            run_inside(tensor, &sides->wanted[reader], i);
        }
    return marks;
}

/* The elements of a message, which must be as many as it says. */
static inline bool *run_message_marks(struct executor *x, const struct stage_run *s, const struct action *a,
                                      const struct run_sides *sides, const struct message_part *message)
{
    bool *marks = run_marks(x, s, a, sides, message->from, message->to);
    const struct tensor *tensor = run_tensor(x, a->tensor);
    double elements = 0;
    for (size_t i = 0; i < run_elements(x, a->tensor); i++) {
        struct box one = {0};
        for (uint32_t d = 0; d < tensor->rank; d++)
            one.dims[d] = (struct interval){run_index(tensor, i, d), run_index(tensor, i, d) + 1};
        elements += marks[i] ? layout_volume(tensor, &one) : 0;
    }
    if (elements != message->elements || message->from == message->to)
        run_fault(x, "a message of %s from %u to %u has %g elements, but needs %g",
                  names_text(x->model->names, tensor->name), message->from, message->to, message->elements,
                  elements);
    return marks;
}

/* Does the messages of an exchange: what arrives is added where `add`, else it must be the first. `in`: what
 * the senders send. */
static inline void run_messages(struct executor *x, const struct stage_run *s, const struct action *a,
                                const struct run_sides *sides, const struct holding *in, bool add,
                                struct holding *out)
{
    for (uint32_t k = 0; k < a->message_count; k++) {
        const struct message_part *message = &s->d->messages.at[a->first_message + k];
        const bool *marks = run_message_marks(x, s, a, sides, message);
        double *there = out->member[message->to];
        for (size_t i = 0; i < run_elements(x, a->tensor); i++) {
            if (!marks[i])
                continue;
            if (!add && !isnan(there[i]))
                run_fault(x, "%s[%zu] arrives twice at member %u",
                          names_text(x->model->names, run_tensor(x, a->tensor)->name), i, message->to);
            there[i] = run_value(in, message->from, i) + (add ? there[i] : 0);
        }
    }
}

/* What members have after an exchange of parts that they hold: their own, and what arrived; after one to
 * coordinators, all that they had, and there what arrived. */
static inline struct holding run_parts(struct executor *x, const struct stage_run *s, const struct action *a,
                                       const struct run_sides *sides, const struct holding *in)
{
    struct holding out = run_holding(x, s);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        bool *got = run_marks(x, s, a, sides, m, m);
        out.member[m] = run_array(x, a->tensor, NAN);
        for (size_t i = 0; i < run_elements(x, a->tensor) && a->leg != EXCHANGE_TO_ROOT; i++)
            if (got[i] || run_inside(run_tensor(x, a->tensor), &sides->own[m], i))
                out.member[m][i] = run_value(in, m, i);
    }
    run_messages(x, s, a, sides, in, false, &out);
    for (uint32_t m = 0; m < s->d->member_count && a->leg == EXCHANGE_TO_ROOT; m++)
        for (size_t i = 0; i < run_elements(x, a->tensor); i++)
            if (isnan(out.member[m][i]))
                out.member[m][i] = run_value(in, m, i);
    return out;
}

/* What members have after an exchange of summands: coordinators the sums of those that they pass on, then
 * everybody the sum for its share. `given`: their summands; `passed`: what coordinators got before, or NULL.
 */
static inline struct holding run_summands(struct executor *x, const struct stage_run *s,
                                          const struct action *a, const struct run_sides *sides,
                                          const struct holding *given, const struct holding *passed)
{
    struct holding out = run_holding(x, s), sent = run_holding(x, s);
    const struct tensor *tensor = run_tensor(x, a->tensor);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        bool sums = a->leg == EXCHANGE_TO_ROOT;
        out.member[m] = run_array(x, a->tensor, sums ? 0 : NAN);
        sent.member[m] = run_array(x, a->tensor, 0);
        for (size_t i = 0; i < run_elements(x, a->tensor); i++) {
            double more = passed ? run_value(passed, m, i) : 0, own = run_value(given, m, i);
            sent.member[m][i] = more + (run_inside(tensor, &sides->own[m], i) ? own : 0);
            if (!sums && run_inside(tensor, &sides->wanted[m], i))
                out.member[m][i] = more + own;
        }
    }
    run_messages(x, s, a, sides, &sent, true, &out);
    return out;
}

#endif
