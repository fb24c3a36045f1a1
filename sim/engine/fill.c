/* A heap of links by candidate level; a candidate only rises while other links close, so a stale key is a
 * lower bound that is renewed at the top. The least link closes: its open flows are decided at its level, and
 * their other links learn that by two sums and a count. Each entry of the network is read once for the sums
 * and once when its flow is decided: O(entries + links · log links). */
#include "engine/fill.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

/* Fresh sums, before subtraction has eaten the digits of the running ones. */
static void renew(const struct maxmin *maxmin, uint32_t l, struct fill_link *sums)
{
    const struct maxmin_link *link = &maxmin->links.at[l];
    const struct incidence *entries = maxmin->pool.at + link->first;
    double smaller = 0, open = 0;
    for (uint32_t i = 0; i < link->count; i++) {
        const struct maxmin_flow *flow = &maxmin->flows.at[entries[i].other];
        bool decided = flow->pass == maxmin->pass;
        smaller += decided ? entries[i].coefficient * flow->level : 0;
        open += decided ? 0 : entries[i].coefficient;
    }
    sums->smaller = smaller;
    sums->open = open;
    sums->floor = (float)(0.25 * open);
}

static double candidate(const struct maxmin *maxmin, uint32_t l)
{
    const struct fill_link *sums = &maxmin->sums.at[l];
    double level = (maxmin->links.at[l].capacity - sums->smaller) / sums->open;
    return level > 0 ? level : 0;
}

static void sift(struct maxmin *maxmin, uint32_t place, struct maxmin_entry entry)
{
    struct maxmin_entry *at = maxmin->heap.at;
    uint32_t count = maxmin->heap.count;
    for (uint32_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && maxmin_entry_before(at[child + 1], at[child]))
            child++;
        if (!maxmin_entry_before(at[child], entry))
            break;
        at[place] = at[child];
    }
    at[place] = entry;
}

static void drop_top(struct maxmin *maxmin)
{
    struct maxmin_entry last = maxmin->heap.at[--maxmin->heap.count];
    if (maxmin->heap.count)
        sift(maxmin, 0, last);
}

/* Sums of a link whose flows are all open; false when its only flow has settled alone. */
static bool open_all(struct maxmin *maxmin, uint32_t l)
{
    const struct maxmin_link *link = &maxmin->links.at[l];
    const struct incidence *entries = maxmin->pool.at + link->first;
    if (link->count == 1 && maxmin->flows.at[entries[0].other].pass == maxmin->pass)
        return false;
    double open = 0;
    for (uint32_t i = 0; i < link->count; i++)
        open += entries[i].coefficient;
    maxmin->sums.at[l] = (struct fill_link){0, open, (float)(0.25 * open), link->count};
    return link->count;
}

/* All links that carry an undecided flow go into the heap. */
static void begin(struct maxmin *maxmin)
{
    while (maxmin->sums.count < maxmin->links.count)
        VECTOR_PUSH(&maxmin->sums, ((struct fill_link){0}));
    for (uint32_t l = 0; l < maxmin->links.count; l++)
        if (open_all(maxmin, l))
            VECTOR_PUSH(&maxmin->heap, ((struct maxmin_entry){candidate(maxmin, l), l}));
    for (uint32_t i = maxmin->heap.count / 2; i-- > 0;)
        sift(maxmin, i, maxmin->heap.at[i]);
}

static void decide(struct maxmin *maxmin, uint32_t f, uint32_t l, double level)
{
    struct maxmin_flow *flow = &maxmin->flows.at[f];
    if (flow->level != level)
        VECTOR_PUSH(&maxmin->changes, ((struct maxmin_change){f, flow->level < INFINITY ? flow->level : 0}));
    *flow = (struct maxmin_flow){level, l, maxmin->pass};
    const struct maxmin_route *route = &maxmin->routes.at[f];
    const struct incidence *entries = maxmin->pool.at + route->first;
    for (uint32_t i = 0; i < route->count; i++) {
        struct fill_link *sums = &maxmin->sums.at[entries[i].other];
        sums->open -= entries[i].coefficient;
        sums->smaller += entries[i].coefficient * level;
        sums->left--;
    }
}

static void close_link(struct maxmin *maxmin, uint32_t l, double level)
{
    struct maxmin_link *link = &maxmin->links.at[l];
    link->level = level;
    for (uint32_t i = 0; i < link->count; i++) {
        uint32_t f = maxmin->pool.at[link->first + i].other;
        if (maxmin->flows.at[f].pass != maxmin->pass)
            decide(maxmin, f, l, level);
    }
    assert(!maxmin->sums.at[l].left);
}

void fill_solve(struct maxmin *maxmin)
{
    begin(maxmin);
    while (maxmin->heap.count) {
        struct maxmin_entry top = maxmin->heap.at[0];
        struct fill_link *sums = &maxmin->sums.at[top.link];
        if (!sums->left) {
            maxmin->links.at[top.link].level = INFINITY; /* limits nobody */
            drop_top(maxmin);
            continue;
        }
        if (sums->open < (double)sums->floor)
            renew(maxmin, top.link, sums);
        double level = candidate(maxmin, top.link);
        if (level > top.key) {
            sift(maxmin, 0, (struct maxmin_entry){level, top.link});
            continue;
        }
        drop_top(maxmin);
        close_link(maxmin, top.link, maxmin_closing_level(maxmin, top.link, level, sums->open));
    }
}
