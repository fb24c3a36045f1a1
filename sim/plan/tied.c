#include "plan/tied.h"

#include "plan/convert.h"
#include "plan/memory.h"
#include "plan/shard.h"
#include "plan/state.h"

#include <stdlib.h>

/* The same within one row after the other of the dimensions before `dim`. */
static uint32_t tied_cut(struct box box, uint32_t dim, uint32_t rank, struct interval flat,
                         struct box *pieces)
{
    if (flat.low >= flat.high)
        return 0;
    uint64_t row = 1, first = box.dims[dim].low; /* elements of a row, the first row */
    for (uint32_t d = dim + 1; d < rank; d++)
        row *= box.dims[d].high - box.dims[d].low;
    uint64_t low = (flat.low + row - 1) / row, high = flat.high / row; /* whole rows */
    uint32_t count = 0;
    struct box part = box;
    if (flat.low / row < low) { /* the end of a row, or the inside of one */
        uint64_t begin = (low - 1) * row, end = low * row < flat.high ? low * row : flat.high;
        part.dims[dim] = (struct interval){first + low - 1, first + low};
        count += tied_cut(part, dim + 1, rank, (struct interval){flat.low - begin, end - begin}, pieces);
    }
    if (low < high) {
        part.dims[dim] = (struct interval){first + low, first + high};
        pieces[count++] = part;
    }
    if (low <= high && high * row < flat.high) { /* the beginning of a row */
        part.dims[dim] = (struct interval){first + high, first + high + 1};
        count += tied_cut(part, dim + 1, rank, (struct interval){0, flat.high - high * row}, pieces + count);
    }
    return count;
}

uint32_t tied_pieces(struct box box, uint32_t rank, struct interval flat, struct box pieces[TIED_PIECES])
{
    return tied_cut(box, 0, rank, flat, pieces);
}

/* A copy as one side of a conversion: members that differ only on axes that are not split have the same
 * region. */
struct tied_side {
    struct convert_side side;
    struct box *pieces[TIED_PIECES]; /* per member; empty where it has fewer */
    uint32_t count;
};

static const struct stage_parameter *tied_parameter(const struct derivation *all, struct tied_copy copy)
{
    return &all[copy.stage].parameters.at[copy.parameter];
}

static struct tied_side tied_side(const struct derivation *all, struct tied_copy copy, struct arena *arena)
{
    const struct derivation *d = &all[copy.stage];
    const struct stage_parameter *parameter = tied_parameter(all, copy);
    struct tied_side result = {
        .side = {d->stage, state_tensor(d, parameter->tensor), parameter->layout, NULL}};
    if (!parameter->shard_axes) {
        result.count = 1;
        return result;
    }
    for (uint32_t m = 0; m < d->member_count; m++) {
        struct box pieces[TIED_PIECES], share = convert_box(&result.side, m);
        uint32_t count = tied_pieces(share, result.side.tensor->rank, shard_own(d, parameter, m), pieces);
        for (; result.count < count; result.count++)
            result.pieces[result.count] = ARENA_ARRAY(arena, struct box, d->member_count);
        for (uint32_t i = 0; i < count; i++)
            result.pieces[i][m] = pieces[i];
    }
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (parameter->shard_axes >> a & 1)
            result.side.layout.place[a] = PLACE_SPLIT;
    return result;
}

static int tied_by_ends(const void *left, const void *right)
{
    const struct message_part *a = left, *b = right;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return a->from < b->from ? -1 : a->from > b->from;
}

/* What one copy gets of another: all pieces that meet between two members are one message. */
static void tied_add(struct tied_sum *sum, struct tied_copy source, const struct tied_side *from,
                     struct tied_copy target, const struct tied_side *to)
{
    struct message_list messages = {0};
    for (uint32_t i = 0; i < from->count; i++)
        for (uint32_t k = 0; k < to->count; k++) {
            struct convert_side given = from->side, wanted = to->side;
            given.boxes = from->pieces[i];
            wanted.boxes = to->pieces[k];
            convert_messages(&given, &wanted, false, &messages);
        }
    if (messages.count)
        qsort(messages.at, messages.count, sizeof *messages.at, tied_by_ends);
    for (uint32_t i = 0; i < messages.count; i++) {
        const struct message_part *message = &messages.at[i];
        if (i && tied_by_ends(message, message - 1) == 0)
            sum->flows.at[sum->flows.count - 1].elements += message->elements;
        else
            VECTOR_PUSH(&sum->flows, ((struct tied_flow){source.stage, target.stage, message->from,
                                                         message->to, message->elements}));
    }
    VECTOR_FREE(&messages);
}

/* Whether two copies have the same regions member by member. */
static bool tied_alike(const struct derivation *all, struct tied_copy one, struct tied_copy other)
{
    const struct derivation *a = &all[one.stage], *b = &all[other.stage];
    const struct stage_parameter *mine = tied_parameter(all, one), *theirs = tied_parameter(all, other);
    const struct tensor *tensor = state_tensor(a, mine->tensor);
    bool alike = a->member_count == b->member_count;
    for (uint32_t m = 0; alike && m < a->member_count; m++) {
        struct box x = layout_box(a->stage, tensor, &mine->layout, layout_coordinates(a->stage, m), 0);
        struct box y = layout_box(b->stage, tensor, &theirs->layout, layout_coordinates(b->stage, m), 0);
        struct interval own = shard_own(a, mine, m), owned = shard_own(b, theirs, m);
        alike = own.low == owned.low && own.high == owned.high;
        for (uint32_t d = 0; d < tensor->rank; d++)
            alike &= x.dims[d].low == y.dims[d].low && x.dims[d].high == y.dims[d].high;
    }
    return alike;
}

static bool tied_same_devices(const struct derivation *all, struct tied_copy one, struct tied_copy other)
{
    const struct index_list *a = &all[one.stage].stage->devices, *b = &all[other.stage].stage->devices;
    bool same = a->count == b->count;
    for (uint32_t m = 0; same && m < a->count; m++)
        same = a->at[m] == b->at[m];
    return same;
}

/* Adds a copy, unless it is one with an earlier one: its devices add both up where they are. */
static void tied_copy(const struct derivation *all, struct tied_sum *sum, struct tied_copy copy)
{
    for (uint32_t i = 0; i < sum->copies.count; i++)
        if (tied_same_devices(all, sum->copies.at[i], copy) && tied_alike(all, sum->copies.at[i], copy))
            return;
    VECTOR_PUSH(&sum->copies, copy);
}

static void tied_derive(const struct derivation *all, struct tied_sum *sum)
{
    sum->alike = true;
    for (uint32_t i = 1; i < sum->copies.count; i++)
        sum->alike &= tied_alike(all, sum->copies.at[0], sum->copies.at[i]);
    if (sum->alike)
        return;
    struct arena arena;
    arena_init(&arena);
    struct tied_side *sides = ARENA_ARRAY(&arena, struct tied_side, sum->copies.count);
    for (uint32_t i = 0; i < sum->copies.count; i++)
        sides[i] = tied_side(all, sum->copies.at[i], &arena);
    for (uint32_t to = 0; to < sum->copies.count; to++)
        for (uint32_t from = 0; from < sum->copies.count; from++)
            if (from != to)
                tied_add(sum, sum->copies.at[from], &sides[from], sum->copies.at[to], &sides[to]);
    arena_fini(&arena);
}

bool tied_find(const struct derivation *all, uint32_t tensor, struct tied_sum *sum)
{
    *sum = (struct tied_sum){.tensor = tensor};
    for (uint32_t s = 0; s < all->plan->stages.count; s++)
        for (uint32_t p = 0; p < all[s].parameters.count; p++)
            if (all[s].parameters.at[p].tensor == tensor)
                tied_copy(all, sum, (struct tied_copy){s, p});
    if (sum->copies.count > 1)
        tied_derive(all, sum);
    else
        tied_fini(sum);
    return sum->copies.count > 1;
}

double tied_elements(const struct derivation *all, const struct tied_sum *sum, uint32_t member)
{
    const struct tied_copy copy = sum->copies.at[0];
    const struct derivation *d = &all[copy.stage];
    return memory_parameter(d, copy.parameter, member) / shard_ways(d, tied_parameter(all, copy));
}

void tied_fini(struct tied_sum *sum)
{
    VECTOR_FREE(&sum->copies);
    VECTOR_FREE(&sum->flows);
}
