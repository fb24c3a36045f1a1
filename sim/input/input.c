#include "input/document.h"

void input_init(struct input *input, const char *data_root)
{
    *input = (struct input){.data_root = data_root};
    arena_init(&input->arena);
    report_init(&input->report);
}

void input_fini(struct input *input)
{
    report_fini(&input->report);
    arena_fini(&input->arena);
}
