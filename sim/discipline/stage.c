#include "discipline/stage.h"

void stage_work(struct stage *stage, uint32_t rank, const struct script_work *work, double times,
                const char *label, enum op_pass pass, uint32_t round, struct actors_then then)
{
    struct actors_work asked = {.seconds = times * work->seconds,
                                .flops = times * work->flops,
                                .memory_bytes = times * work->memory_bytes,
                                .label = names_add(stage->script->names, label),
                                .round = round,
                                .pass = (uint8_t)pass};
    actors_compute(stage->actors, rank, &asked, then);
}

void stage_step(struct stage *stage, uint32_t rank, uint32_t round, bool update, struct actors_then then)
{
    static const struct actors_then nobody = {0};
    const struct script_cost *cost = &stage->script->costs[rank];
    if (cost->forward.seconds > 0)
        stage_work(stage, rank, &cost->forward, 1, "forward", PASS_F, round, nobody);
    stage_work(stage, rank, &cost->backward, 1, "backward", PASS_B, round, update ? nobody : then);
    if (update)
        stage_work(stage, rank, &cost->optimizer, 1, "update", PASS_O, round, then);
}

uint32_t stage_send(struct stage *stage, uint32_t from, uint32_t to, double bytes, const char *purpose,
                    uint32_t round, struct actors_then then)
{
    uint32_t name = names_add(stage->script->names, purpose);
    struct actors_message message = {
        .bytes = bytes, .group = name, .label = name, .round = round, .pass = PASS_N};
    return actors_send(stage->actors, from, to, &message, then);
}

void stage_mark(struct stage *stage, double samples)
{
    VECTOR_PUSH(&stage->marks, actors_now(stage->actors));
    stage->samples += samples;
}

const char *stage_name(const struct stage *stage, uint32_t rank)
{
    const struct platform *platform = stage->script->platform;
    return names_text(platform->names, platform->devices.at[stage->script->devices.at[rank]].name);
}
