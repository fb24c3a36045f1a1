#include "plan/layout.h"

#include "plan/owners.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct coordinates layout_coordinates(const struct plan_stage *stage, uint32_t member)
{
    struct coordinates result = {{0}};
    for (uint32_t a = stage->axis_count; a-- > 0;) {
        result.at[a] = member % stage->axes[a].size;
        member /= stage->axes[a].size;
    }
    return result;
}

uint32_t layout_member(const struct plan_stage *stage, struct coordinates coordinates)
{
    uint32_t member = 0;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        member = member * stage->axes[a].size + coordinates.at[a];
    return member;
}

uint32_t layout_place(const struct plan_stage *stage, uint32_t axes, uint32_t member)
{
    struct coordinates at = layout_coordinates(stage, member);
    uint32_t place = 0;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (axes >> a & 1)
            place = place * stage->axes[a].size + at.at[a];
    return place;
}

uint32_t layout_places(const struct plan_stage *stage, uint32_t axes)
{
    uint32_t places = 1;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        places *= axes >> a & 1 ? stage->axes[a].size : 1;
    return places;
}

/* Where share `index` of `size` elements begins. */
static uint64_t layout_edge(uint64_t size, const struct plan_axis *axis, uint32_t index)
{
    if (!axis->weights || index == axis->size)
        return size * index / axis->size;
    double before = 0, total = 0, whole = 0;
    for (uint32_t i = 0; i < axis->size; i++)
        total += axis->weights[i];
    for (uint32_t i = 0; i < index; i++) {
        before += axis->weights[i];
        whole += ceil((double)size * (axis->weights[i] / total) - 1e-9);
    }
    /* 1e-9: an edge that is a whole number stays one where the sum of weights is rounded. */
    double edge = axis->rounds_up ? whole : (double)size * (before / total) + 1e-9;
    return edge < (double)size ? (uint64_t)edge : size;
}

struct interval layout_share(struct interval whole, const struct plan_axis *axis, uint32_t index)
{
    uint64_t size = whole.high > whole.low ? whole.high - whole.low : 0;
    return (struct interval){whole.low + layout_edge(size, axis, index),
                             whole.low + layout_edge(size, axis, index + 1)};
}

struct box layout_box(const struct plan_stage *stage, const struct tensor *tensor,
                      const struct layout *layout, struct coordinates member, uint32_t ignore)
{
    struct box box = {0};
    for (uint32_t d = 0; d < tensor->rank; d++)
        box.dims[d] = (struct interval){0, tensor->dims[d].size};
    for (uint32_t n = 0, end = stage->axis_count * (stage->late ? 2 : 1); n < end;
         n++) { /* late axes after all others */
        uint32_t a = n < stage->axis_count ? n : n - stage->axis_count;
        bool late =
            layout->place[a] == PLACE_SPLIT && layout->late >> layout->dim[a] & 1 && stage->late >> a & 1;
        if (late != (n >= stage->axis_count))
            continue;
        if (layout->place[a] == PLACE_SPLIT && !(ignore >> a & 1))
            box.dims[layout->dim[a]] = owners_share(tensor->dims[layout->dim[a]].owners, stage, a,
                                                    box.dims[layout->dim[a]], member.at[a]);
        else if (layout->place[a] == PLACE_ONE && member.at[a] && !(ignore >> a & 1))
            return (struct box){0};
    }
    return box;
}

/* Positions of a comb below `end`, which counts from where a run begins. */
static uint64_t layout_below(const struct comb *comb, uint64_t end)
{
    uint64_t rest = end % comb->step;
    return end / comb->step * comb->run + (rest < comb->run ? rest : comb->run);
}

/* Positions of a box along one dimension. */
static uint64_t layout_length(const struct box *box, uint32_t dim)
{
    struct interval over = box->dims[dim];
    const struct comb *comb = &box->combs[dim];
    if (over.low >= over.high)
        return 0;
    return comb->step
               ? layout_below(comb, over.high + comb->shift) - layout_below(comb, over.low + comb->shift)
               : over.high - over.low;
}

bool layout_has(const struct box *box, uint32_t dim, uint64_t position)
{
    const struct comb *comb = &box->combs[dim];
    return position >= box->dims[dim].low && position < box->dims[dim].high &&
           (!comb->step || (position + comb->shift) % comb->step < comb->run);
}

void layout_trim(struct box *box, uint32_t dim)
{
    struct interval *over = &box->dims[dim];
    while (over->low < over->high && !layout_has(box, dim, over->low))
        over->low++;
    while (over->low < over->high && !layout_has(box, dim, over->high - 1))
        over->high--;
}

struct box layout_hull(struct box box)
{
    memset(box.combs, 0, sizeof box.combs);
    return box;
}

static bool layout_same_comb(const struct comb *a, const struct comb *b)
{
    return a->step == b->step && a->run == b->run && a->shift == b->shift;
}

/* Whether one comb has all positions of another: it has all, or longer runs around those of the other. */
static bool layout_comb_covers(const struct comb *outer, const struct comb *inner)
{
    if (!outer->step || outer->step != inner->step)
        return !outer->step;
    uint32_t ahead = (uint32_t)(outer->shift + outer->step - inner->shift) % outer->step;
    return ahead + inner->run <= outer->run;
}

double layout_elements(const struct box *box, uint32_t rank)
{
    double elements = 1;
    for (uint32_t d = 0; d < rank; d++)
        elements *= (double)layout_length(box, d);
    return elements;
}

double layout_volume(const struct tensor *tensor, const struct box *box)
{
    double elements = 1;
    for (uint32_t d = 0; d < tensor->rank; d++)
        elements *= box->combs[d].step ? (double)layout_length(box, d)
                                       : model_extent(tensor->dims[d].filling, box->dims[d]);
    return elements;
}

bool layout_covers(const struct box *outer, const struct box *inner, uint32_t rank)
{
    for (uint32_t d = 0; d < rank; d++)
        if (inner->dims[d].low >= inner->dims[d].high)
            return true; /* nothing needed */
    for (uint32_t d = 0; d < rank; d++)
        if (inner->dims[d].low < outer->dims[d].low || inner->dims[d].high > outer->dims[d].high ||
            !layout_comb_covers(&outer->combs[d], &inner->combs[d]))
            return false;
    return true;
}

struct box layout_intersection(const struct box *a, const struct box *b, uint32_t rank)
{
    struct box both = {0};
    for (uint32_t d = 0; d < rank; d++) {
        const struct comb *one = &a->combs[d], *other = &b->combs[d];
        if (!one->step || !other->step || layout_same_comb(one, other)) /* else what both span */
            both.combs[d] = one->step ? *one : *other;
        both.dims[d].low = a->dims[d].low > b->dims[d].low ? a->dims[d].low : b->dims[d].low;
        both.dims[d].high = a->dims[d].high < b->dims[d].high ? a->dims[d].high : b->dims[d].high;
        if (both.dims[d].high < both.dims[d].low)
            both.dims[d].high = both.dims[d].low;
    }
    return both;
}

bool layout_equal(const struct layout *a, const struct layout *b, uint32_t axis_count)
{
    for (uint32_t i = 0; i < axis_count; i++)
        if (a->place[i] != b->place[i] || (a->place[i] == PLACE_SPLIT && a->dim[i] != b->dim[i]))
            return false;
    return true;
}

struct layout layout_reduced(struct layout layout)
{
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (layout.place[a] == PLACE_PARTIAL)
            layout.place[a] = PLACE_REPLICATED;
    return layout;
}

char *layout_describe(const struct plan_stage *stage, const struct tensor *tensor,
                      const struct layout *layout, const struct names *names, char *buffer, size_t size)
{
    size_t used = 0;
    buffer[0] = 0;
    for (uint32_t a = 0; a < stage->axis_count && used < size; a++) {
        const char *axis = names_text(names, stage->axes[a].name), *gap = a ? " " : "";
        int written;
        if (layout->place[a] == PLACE_SPLIT)
            written = snprintf(buffer + used, size - used, "%s%s:S(%s)", gap, axis,
                               names_text(names, tensor->dims[layout->dim[a]].label));
        else
            written = snprintf(buffer + used, size - used, "%s%s:%s", gap, axis,
                               layout->place[a] == PLACE_PARTIAL ? "P"
                               : layout->place[a] == PLACE_ONE   ? "one"
                                                                 : "R");
        used += (size_t)written;
    }
    if (!stage->axis_count)
        snprintf(buffer, size, "whole");
    return buffer;
}
