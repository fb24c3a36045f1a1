#include "plan/compression_keys.h"

#include "plan/offload.h"

struct compression_keys {
    double top;
    int64_t bits, rank;
};

#define AT(member) offsetof(struct compression_keys, member)
static const struct field compression_keys_fields[] = {
    {.key = "top",
     .kind = FIELD_NUMBER,
     .offset = AT(top),
     .low = 1e-9,
     .high = 1,
     .about = "only this share of the gradients, the largest, is sent, with their indices"},
    {.key = "bits",
     .kind = FIELD_INTEGER,
     .offset = AT(bits),
     .low = 1,
     .high = 32,
     .about = "each gradient is sent in this many bits"},
    {.key = "rank",
     .kind = FIELD_INTEGER,
     .offset = AT(rank),
     .low = 1,
     .high = 65536,
     .about = "the gradient of a matrix is sent as two factors of this rank"},
};
#undef AT

bool compression_keys_read(struct input *input, const struct value *value,
                           struct plan_compression *compression)
{
    struct compression_keys read = {0, 0, 0};
    *compression = (struct plan_compression){0};
    if (!value || value->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(input, value, value->place, "plan.compress") ||
        !fields_read(input, value, value->place, "plan.compress", compression_keys_fields,
                     FIELDS_COUNT(compression_keys_fields), NULL, &read))
        return false;
    if ((read.top > 0) + (read.bits > 0) + (read.rank > 0) != 1)
        return report_error(&input->report, value->place,
                            "plan.compress wants one of 'top', 'bits' and 'rank'");
    *compression = (struct plan_compression){.kind = read.top > 0    ? 1
                                                     : read.bits > 0 ? 2
                                                                     : 3,
                                             .top = read.top,
                                             .bits = (uint32_t)read.bits,
                                             .rank = (uint32_t)read.rank};
    return true;
}

bool compression_keys_check(struct input *input, const struct value *value, const char *beside,
                            const struct plan *plan)
{
    struct report *report = &input->report;
    if (!value || !plan->compression.kind)
        return true;
    if (!plan->training)
        return report_error(report, value->place,
                            "plan.compress is about gradients: in inference there are none");
    if (beside)
        return report_error(report, value->place, "plan.compress cannot stand beside %s", beside);
    if (plan->zero)
        return report_error(
            report, value->place,
            "plan.compress is about all-reduces: with zero: %u gradients are reduced to shares", plan->zero);
    if (offload_shares(plan))
        return report_error(
            report, value->place,
            "plan.compress cannot stand beside plan.offload of states, gradients or parameters");
    return true;
}
