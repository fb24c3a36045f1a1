#include "collective/transfer.h"

#include "base/arena.h"

#include <assert.h>

struct shape transfer_flat(uint32_t members)
{
    return (struct shape){.members = members, .depth = 1, .sizes = {members}};
}

void transfer_begin(struct transfer_list *list, int kind, uint32_t members, uint32_t chunks)
{
    list->kind = kind;
    list->members = members;
    list->chunks = chunks;
}

static void add(struct transfer_list *list, struct transfer_step step)
{
    step.modulus = list->chunks;
    if (list->kind != BARRIER)
        step.fraction = (double)step.run * step.repeats / (list->kind == HALO_EXCHANGE ? 2 : list->chunks);
    VECTOR_PUSH(list, step);
}

void transfer_add(struct transfer_list *list, uint32_t round, uint32_t from, uint32_t to, uint32_t chunk,
                  uint32_t count, bool reduce)
{
    add(list, (struct transfer_step){.round = round,
                                     .from = from,
                                     .to = to,
                                     .chunk = chunk,
                                     .run = count,
                                     .repeats = 1,
                                     .reduce = reduce});
}

void transfer_add_runs(struct transfer_list *list, uint32_t round, uint32_t from, uint32_t to, uint32_t chunk,
                       uint32_t run, uint32_t stride, uint32_t repeats)
{
    if (run && repeats)
        add(list, (struct transfer_step){.round = round,
                                         .from = from,
                                         .to = to,
                                         .chunk = chunk,
                                         .run = run,
                                         .stride = stride,
                                         .repeats = repeats});
}

uint32_t transfer_rounds(const struct transfer_list *list)
{
    return list->count ? list->at[list->count - 1].round + 1 : 0;
}

static struct transfer_step turned(struct transfer_step step, uint32_t rounds, bool reduce)
{
    uint32_t from = step.from;
    step.from = step.to;
    step.to = from;
    step.round = rounds - step.round;
    step.reduce = reduce;
    return step;
}

void transfer_reverse(struct transfer_list *list, uint32_t first, bool reduce)
{
    if (first >= list->count)
        return;
    uint32_t rounds = list->at[first].round + list->at[list->count - 1].round;
    for (uint32_t i = 0; i < (list->count - first + 1) / 2; i++) {
        uint32_t low = first + i, high = list->count - 1 - i;
        struct transfer_step step = turned(list->at[low], rounds, reduce);
        list->at[low] = turned(list->at[high], rounds, reduce);
        list->at[high] = step;
    }
}

uint32_t transfer_chunk(const struct transfer_step *step, uint32_t i)
{
    uint64_t at = step->chunk + (uint64_t)(i / step->run) * step->stride + i % step->run;
    return step->base + (uint32_t)(at % step->modulus);
}

uint32_t transfer_home(const struct transfer_list *list, const struct shape *shape, uint32_t chunk)
{
    assert(list->chunks % shape->members == 0);
    uint32_t place = chunk / (list->chunks / shape->members), unit = shape->members, weight = 1, member = 0;
    for (uint32_t d = 0; d < shape->depth; d++) {
        unit /= shape->sizes[d];
        member += place / unit % shape->sizes[d] * weight;
        weight *= shape->sizes[d];
    }
    return member;
}

static uint32_t moved(const struct shape *shape, uint32_t member, uint32_t place, bool back)
{
    uint32_t unit = shape->members, weight = 1, to = 0;
    for (uint32_t d = 0; d < shape->depth; d++) {
        uint32_t size = shape->sizes[d];
        unit /= size;
        uint32_t digit = place / unit % size, own = member / weight % size;
        to += (back ? own + size - digit : own + digit) % size * weight;
        weight *= size;
    }
    return to;
}

uint32_t transfer_beyond(const struct shape *shape, uint32_t member, uint32_t place)
{
    return moved(shape, member, place, false);
}

uint32_t transfer_before(const struct shape *shape, uint32_t member, uint32_t place)
{
    return moved(shape, member, place, true);
}

/* Follows every block of an all-to-all: block[m · n + p] is from · n + to of what place p of member m has. A
 * round's transfers read what was there before it. */
static void weigh_blocks(struct transfer_list *list, const struct shape *shape, const double *shares)
{
    struct arena arena;
    uint32_t n = shape->members;
    arena_init(&arena);
    uint32_t *block = ARENA_ARRAY(&arena, uint32_t, (size_t)n * n);
    uint32_t *before = ARENA_ARRAY(&arena, uint32_t, (size_t)n * n);
    for (uint32_t m = 0; m < n; m++)
        for (uint32_t p = 0; p < n; p++)
            block[(size_t)m * n + p] = m * n + transfer_beyond(shape, m, p);
    for (uint32_t i = 0; i < list->count;) {
        uint32_t round = list->at[i].round;
        for (size_t b = 0; b < (size_t)n * n; b++)
            before[b] = block[b];
        for (; i < list->count && list->at[i].round == round; i++) {
            struct transfer_step *step = &list->at[i];
            step->fraction = 0;
            for (uint32_t c = 0; c < step->run * step->repeats; c++) {
                uint32_t place = transfer_chunk(step, c);
                block[(size_t)step->to * n + place] = before[(size_t)step->from * n + place];
                step->fraction += shares[before[(size_t)step->from * n + place]];
            }
        }
    }
    arena_fini(&arena);
}

void transfer_weigh(struct transfer_list *list, const struct shape *shape, const double *shares)
{
    if (list->kind == ALL_TO_ALL) {
        weigh_blocks(list, shape, shares);
        return;
    }
    if (list->kind != REDUCE_SCATTER && list->kind != ALL_GATHER && list->kind != SCATTER &&
        list->kind != GATHER)
        return;
    double parts = list->chunks / shape->members;
    for (uint32_t i = 0; i < list->count; i++) {
        struct transfer_step *step = &list->at[i];
        step->fraction = 0;
        for (uint32_t c = 0; c < step->run * step->repeats; c++)
            step->fraction += shares[transfer_home(list, shape, transfer_chunk(step, c))] / parts;
    }
}

void transfer_fini(struct transfer_list *list)
{
    VECTOR_FREE(list);
    VECTOR_FREE(&list->times);
}
