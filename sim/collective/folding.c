#include "collective/folding.h"

struct folding folding_of(uint32_t members)
{
    struct folding folding = {.members = members, .groups = 1};
    while (2 * folding.groups <= members) {
        folding.groups *= 2;
        folding.rounds++;
    }
    folding.rest = members - folding.groups;
    return folding;
}

uint32_t folding_leader(const struct folding *folding, uint32_t group)
{
    return group < folding->rest ? 2 * group : group + folding->rest;
}

void folding_in(const struct folding *folding, uint32_t round, struct transfer_list *out)
{
    for (uint32_t g = 0; g < folding->rest; g++)
        transfer_add(out, round, 2 * g + 1, 2 * g, 0, out->chunks, true);
}

void folding_out(const struct folding *folding, uint32_t round, struct transfer_list *out)
{
    for (uint32_t g = 0; g < folding->rest; g++)
        transfer_add(out, round, 2 * g, 2 * g + 1, 0, out->chunks, false);
}

static void doubling(const struct folding *folding, uint32_t first, bool leaders, struct transfer_list *out)
{
    for (uint32_t j = 0; j < folding->rounds; j++) {
        for (uint32_t g = 0; g < folding->groups; g++) {
            uint32_t from = g >> j << j, to = from + (1u << j); /* the groups whose chunks g has by now */
            if (!leaders) {
                from = folding_leader(folding, from);
                to = to < folding->groups ? folding_leader(folding, to) : folding->members;
            }
            transfer_add(out, first + j, folding_leader(folding, g), folding_leader(folding, g ^ 1u << j),
                         from, to - from, false);
        }
    }
}

void folding_gather(const struct folding *folding, uint32_t first, bool leaders, struct transfer_list *out)
{
    bool fold = folding->rest && !leaders;
    if (fold)
        for (uint32_t g = 0; g < folding->rest; g++)
            transfer_add(out, first, 2 * g + 1, 2 * g, 2 * g + 1, 1, false);
    doubling(folding, first + fold, leaders, out);
    if (fold) /* all but its own chunk */
        for (uint32_t g = 0; g < folding->rest; g++)
            transfer_add(out, first + 1 + folding->rounds, 2 * g, 2 * g + 1, 2 * g + 2, folding->members - 1,
                         false);
}

/* The first groups have the most chunks, so they set the pace of every round. */
double folding_gather_seconds(uint32_t members, double bytes, double latency, double bandwidth)
{
    struct folding folding = folding_of(members);
    double chunks = 0;
    for (uint32_t j = 0; j < folding.rounds; j++)
        chunks += (1u << j) + (folding.rest < 1u << j ? folding.rest : 1u << j);
    if (folding.rest)
        chunks += members; /* 1 before, n - 1 after */
    return (folding.rounds + (folding.rest ? 2 : 0)) * latency + chunks / members * bytes / bandwidth;
}
