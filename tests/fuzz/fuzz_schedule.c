/* Any bytes as a pipeline schedule in CSV, of training and of inference. */
#include "plan/schedule_csv.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    for (int training = 0; training < 2; training++) {
        struct input input;
        struct orders orders;
        input_init(&input, NULL);
        char *text = fuzz_text(&input.arena, bytes, length);
        fuzz_said(schedule_csv_parse(&input, "fuzzed.csv", text, training, &orders), &input.report);
        orders_fini(&orders);
        input_fini(&input);
    }
    return 0;
}
