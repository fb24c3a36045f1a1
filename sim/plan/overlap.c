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

void overlap_merge(struct builder *builder, uint32_t first, uint32_t second, struct overlap_notes *notes,
                   uint32_t note_count)
{
    struct index_list place = {0}, marks = {0};
    VECTOR(struct op) ops = {0};
    VECTOR(bool) waited = {0};
    builder_close(builder);
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
