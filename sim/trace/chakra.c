#include "trace/chakra.h"

#include "program/program.h"

#define AT(member) offsetof(struct trace_node, member)
#define RANKS INT64_C(0), INT64_C(16777215)
#define ANY INT64_MIN, INT64_MAX
/* The first part is what ASTRA-sim reads (et_feeder_node_attr.h), the second is Partita's own. */
const struct chakra_attribute chakra_attributes[] = {
    {"is_cpu_op", CHAKRA_FLAG, AT(host), 0, 0},
    {"num_ops", CHAKRA_NUMBER, AT(flops), 0, 0},
    {"tensor_size", CHAKRA_NUMBER, AT(bytes), 0, 0},
    {"comm_type", CHAKRA_INTEGER, AT(kind), ANY},
    {"comm_size", CHAKRA_NUMBER, AT(size), 0, 0},
    {"comm_src", CHAKRA_INTEGER, AT(source), RANKS},
    {"comm_dst", CHAKRA_INTEGER, AT(target), RANKS},
    {"comm_tag", CHAKRA_INTEGER, AT(tag), ANY},
    {"pg_name", CHAKRA_TEXT, AT(pg), 0, 0},
    {"involved_dim", CHAKRA_FALSE, AT(without), 0, 0},
    {"partita_start", CHAKRA_NUMBER, AT(start), 0, 0},
    {"partita_seconds", CHAKRA_NUMBER, AT(seconds), 0, 0},
    {"partita_bytes", CHAKRA_NUMBER, AT(size), 0, 0}, /* after comm_size, which is whole */
    {"partita_flops", CHAKRA_NUMBER, AT(flops), 0, 0},
    {"partita_memory_bytes", CHAKRA_NUMBER, AT(bytes), 0, 0},
    {"partita_model_flops", CHAKRA_NUMBER, AT(model_flops), 0, 0},
    {"partita_allocates", CHAKRA_NUMBER, AT(allocates), 0, 0},
    {"partita_frees", CHAKRA_NUMBER, AT(frees), 0, 0},
    {"partita_stream", CHAKRA_TEXT, AT(stream), 0, 0},
    {"partita_group", CHAKRA_TEXT, AT(label), 0, 0},
    {"partita_pass", CHAKRA_INTEGER, AT(pass), 0, PASS_COUNT - 1},
    {"partita_micro_batch", CHAKRA_INTEGER, AT(micro_batch), 0, INT32_MAX},
    {"partita_step", CHAKRA_INTEGER, AT(step), 0, 100000},
    {"partita_rendezvous", CHAKRA_FLAG, AT(rendezvous), 0, 0},
    {"partita_fixed", CHAKRA_FLAG, AT(fixed), 0, 0},
    {"partita_shares", CHAKRA_SHARES, AT(first_share), 0, 0},
};
const uint32_t chakra_attribute_count = sizeof chakra_attributes / sizeof chakra_attributes[0];
