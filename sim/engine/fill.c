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
    const uint32_t *flows = maxmin->pool.other + link->first;
    double smaller = 0, open = 0;
    for (uint32_t i = 0; i < link->count; i++) {
        const struct maxmin_flow *flow = &maxmin->flows.at[flows[i]];
        double coefficient = incidence_coefficient(&maxmin->pool, link->first + i);
        bool decided = flow->pass == maxmin->pass;
        smaller += decided ? coefficient * flow->level : 0;
        open += decided ? 0 : coefficient;
    }
    sums->smaller = smaller;
    sums->open = open;
    sums->floor = (float)(0.25 * open);
}

static double open_sum(const struct maxmin *maxmin, const struct fill_link *sums)
{
    return maxmin->pool.coefficient ? sums->open : sums->left;
}

static double candidate(const struct maxmin *maxmin, uint32_t l)
{
    const struct fill_link *sums = &maxmin->sums.at[l];
    double level = (maxmin->links.at[l].capacity - sums->smaller) / open_sum(maxmin, sums);
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
    if (link->count == 1 && maxmin->flows.at[maxmin->pool.other[link->first]].pass == maxmin->pass)
        return false;
    double open = link->count;
    if (maxmin->pool.coefficient) {
        const double *coefficients = maxmin->pool.coefficient + link->first;
        open = 0;
        for (uint32_t i = 0; i < link->count; i++)
            open += coefficients[i];
    }
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

/* The list of changes has room for every flow. */
static void decide(struct maxmin *maxmin, uint32_t f, uint32_t l, double level)
{
    struct maxmin_flow *flow = &maxmin->flows.at[f];
    double before = flow->level;
    maxmin->changes.at[maxmin->changes.count] = (struct maxmin_change){f, before < INFINITY ? before : 0};
    maxmin->changes.count += before != level; /* no branch: half of them do not change */
    *flow = (struct maxmin_flow){level, l, maxmin->pass};
    const struct maxmin_route *route = &maxmin->routes.at[f];
    const uint32_t *links = maxmin->pool.other + route->first;
    const double *coefficients = maxmin->pool.coefficient ? maxmin->pool.coefficient + route->first : NULL;
    for (uint32_t i = 0; !coefficients && i < route->count; i++) {
        struct fill_link *sums = &maxmin->sums.at[links[i]];
        sums->smaller += level;
        sums->left--;
    }
    for (uint32_t i = 0; coefficients && i < route->count; i++) {
        struct fill_link *sums = &maxmin->sums.at[links[i]];
        sums->open -= coefficients[i];
        sums->smaller += coefficients[i] * level;
        sums->left--;
    }
}

/* Decides the open flows of a link. They are picked out of its list first, without a branch: whether a flow
 * is decided already cannot be foretold. */
static void close_link(struct maxmin *maxmin, uint32_t l, double level)
{
    enum { AT_ONCE = 64 };
    struct maxmin_link *link = &maxmin->links.at[l];
    const uint32_t *flows = maxmin->pool.other + link->first;
    link->level = level;
    for (uint32_t i = 0; i < link->count;) {
        uint32_t open[AT_ONCE], count = 0, end = link->count - i < AT_ONCE ? link->count : i + AT_ONCE;
        for (; i < end; i++) {
            open[count] = flows[i];
            count += maxmin->flows.at[flows[i]].pass != maxmin->pass;
        }
        for (uint32_t k = 0; k < count; k++)
            __builtin_prefetch(maxmin->pool.other + maxmin->routes.at[open[k]].first);
        for (uint32_t k = 0; k < count; k++)
            decide(maxmin, open[k], l, level);
    }
    assert(!maxmin->sums.at[l].left);
}

void fill_solve(struct maxmin *maxmin)
{
    begin(maxmin);
    VECTOR_RESERVE(&maxmin->changes, maxmin->changes.count + maxmin->attached + 1);
    while (maxmin->heap.count) {
        struct maxmin_entry top = maxmin->heap.at[0];
        struct fill_link *sums = &maxmin->sums.at[top.link];
        if (!sums->left) {
            maxmin->links.at[top.link].level = INFINITY; /* limits nobody */
            drop_top(maxmin);
            continue;
        }
        if (maxmin->pool.coefficient && sums->open < (double)sums->floor)
            renew(maxmin, top.link, sums);
        double level = candidate(maxmin, top.link);
        if (level > top.key) {
            sift(maxmin, 0, (struct maxmin_entry){level, top.link});
            continue;
        }
        drop_top(maxmin);
        close_link(maxmin, top.link, maxmin_closing_level(maxmin, top.link, level, open_sum(maxmin, sums)));
    }
}
