#include "plan/overlap.h"

static void overlap_note(const struct index_list *place, uint32_t first, uint32_t *slot)
{
    if (*slot != PROGRAM_NONE && *slot >= first)
        *slot = place->at[*slot - first];
}

/* Where each operation from `first` on goes. Both passes keep their own order. */
static void overlap_places(const struct builder *builder, uint32_t first, uint32_t second,
                           struct index_list *place)
{
    uint32_t i = first, j = second, next = first;
    for (uint32_t k = first; k < builder->ops.count; k++)
        VECTOR_PUSH(place, 0u);
    while (i < second || j < builder->ops.count) {
        bool left = j == builder->ops.count || (i < second && builder->marks.at[i] <= builder->marks.at[j]);
        place->at[(left ? i++ : j++) - first] = next++;
    }
}

/* The last operation of the compute stream, which is no longer that of the second pass. */
static uint32_t overlap_last(const struct builder *builder)
{
    uint32_t last = builder->ops.count;
    while (last-- > 0)
        if (builder->ops.at[last].kind == OP_COMPUTE)
            return last;
    return PROGRAM_NONE;
}

/* What the second pass issues after "the last kernel so far" is issued when the pair begins: the kernel
 * before both of them takes the place of those of the first pass. */
static void overlap_part(struct builder *builder, uint32_t first, uint32_t second)
{
    uint32_t before = first;
    while (before-- > 0 && builder->ops.at[before].kind != OP_COMPUTE)
        ;
    for (uint32_t k = second; k < builder->ops.count; k++) {
        struct op *op = &builder->ops.at[k];
        uint32_t *at = &builder->dependencies.at[op->first_dependency], kept = 0;
        for (uint32_t i = 0; i < op->dependency_count; i++) {
            bool inside = at[i] >= first && at[i] < second;
            if (!inside || before != UINT32_MAX)
                at[kept++] = inside ? before : at[i];
        }
        op->dependency_count = kept;
    }
}

void overlap_merge(struct builder *builder, uint32_t first, uint32_t second, struct overlap_notes *notes,
                   uint32_t note_count)
{
    struct index_list place = {0}, marks = {0};
    VECTOR(struct op) ops = {0};
    VECTOR(bool) waited = {0};
    builder_close(builder);
    overlap_part(builder, first, second);
    overlap_places(builder, first, second, &place);
    for (uint32_t k = first; k < builder->ops.count; k++) {
        struct op *op = &builder->ops.at[k];
        for (uint32_t i = 0; i < op->dependency_count; i++)
            overlap_note(&place, first, &builder->dependencies.at[op->first_dependency + i]);
        VECTOR_PUSH(&ops, *op);
        VECTOR_PUSH(&waited, builder->waited.at[k]);
        VECTOR_PUSH(&marks, builder->marks.at[k]);
    }
    for (uint32_t k = 0; k < ops.count; k++) {
        builder->ops.at[place.at[k]] = ops.at[k];
        builder->waited.at[place.at[k]] = waited.at[k];
        builder->marks.at[place.at[k]] = marks.at[k];
    }
    for (uint32_t n = 0; n < note_count; n++)
        for (uint32_t i = 0; i < notes[n].count; i++)
            overlap_note(&place, first, &notes[n].at[i]);
    builder->last_compute = overlap_last(builder);
    VECTOR_FREE(&place);
    VECTOR_FREE(&marks);
    VECTOR_FREE(&ops);
    VECTOR_FREE(&waited);
}
