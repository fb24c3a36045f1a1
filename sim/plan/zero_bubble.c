#include "plan/zero_bubble.h"

void zero_bubble_list(uint32_t stage, uint32_t ahead, uint32_t late, uint32_t micro_batches,
                      struct schedule_list *out)
{
    uint32_t forward = 0, weight = 0;
    while (forward < ahead && forward < micro_batches)
        schedule_add(out, PASS_F, stage, forward++);
    for (uint32_t input = 0; input < micro_batches; input++) {
        schedule_add(out, PASS_I, stage, input);
        if (input >= late)
            schedule_add(out, PASS_W, stage, weight++);
        if (forward < micro_batches)
            schedule_add(out, PASS_F, stage, forward++);
    }
    while (weight < micro_batches)
        schedule_add(out, PASS_W, stage, weight++);
}
