/* Collective: algorithms as a table. An algorithm turns one collective among n devices into what it asks of
 * the network. At the fluid level that is one activity: a usage coefficient for each link it crosses, a
 * number of bytes on its busiest link and a latency. At the step level it is rounds of transfers. */
#ifndef PARTITA_COLLECTIVE_COLLECTIVE_H
#define PARTITA_COLLECTIVE_COLLECTIVE_H

#include "base/communication.h"
#include "base/vector.h"
#include "platform/platform.h"

#include <stdbool.h>

struct usage {
    uint32_t link;
    double coefficient; /* 0 < c <= 1 */
};

/* The fluid form of one communication. `rate` 1 is one byte per second on the busiest link, where the
 * coefficient is 1; a link with coefficient c carries c bytes per second. */
struct activity {
    double bytes_factor; /* bytes on the busiest link = bytes_factor · payload bytes (struct op's `bytes`) */
    double latency;      /* seconds, all rounds together */
    double rounds;       /* communication rounds, for reports */
    double cap; /* bytes per second of rate: rounds that are busy on different links follow each other, so no
                   single link can show how long they take together; INFINITY when one does */
    VECTOR(struct usage) usage; /* by ascending link, each once */
    struct index_list path;     /* of a message: its links in the order in which it crosses them */
};

/* One point-to-point transfer of a step-level collective: bytes = fraction · payload. */
struct transfer_step {
    uint32_t round, from, to; /* member indices */
    double fraction;
};
struct transfer_list {
    struct transfer_step *at;
    uint32_t count, room;
};

struct algorithm {
    const char *name;  /* "ring" */
    const char *about; /* one sentence for `partita list collectives` */
    uint32_t kinds;    /* bit set of 1u << enum collective_kind that it can do */
    /* Appends the transfers, in order of rounds; a transfer waits for the earlier-round transfers into its
     * sender. */
    void (*steps)(int kind, uint32_t members, struct transfer_list *out);
    /* The same transfers with equal rounds written once: round r of `out` stands for times->at[r] rounds.
     * NULL when no rounds are equal. It keeps a ring of 1,024 from writing two million transfers. */
    void (*pattern)(int kind, uint32_t members, struct transfer_list *out, struct index_list *times);
    /* Closed form on an idle symmetric network: seconds with latency a per hop and bandwidth b. For tests and
     * `auto`. */
    double (*seconds)(int kind, uint32_t members, double bytes, double latency, double bandwidth);
};

extern const struct algorithm ring_algorithm;
extern const struct algorithm *const collective_algorithms[]; /* NULL-terminated */

const struct algorithm *collective_find(const char *name); /* NULL when there is none */

/* The fluid activity of an algorithm over these devices: sums its transfers over the routes; per round the
 * latency is the largest route latency. Returns false and names the pair when two members have no route. */
bool collective_activity(struct platform *platform, const struct algorithm *algorithm, int kind,
                         const uint32_t *devices, uint32_t count, struct activity *out,
                         uint32_t unreachable[2]);

/* The activity of one message from a device to another (coefficients follow repeated links of the route). */
bool collective_message(struct platform *platform, uint32_t from, uint32_t to, struct activity *out);

void collective_activity_fini(struct activity *activity);

#endif
