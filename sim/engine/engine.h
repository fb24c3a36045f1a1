/* Engine: the clock. Executes a job on a platform and says when everything happened. Deterministic: same
 * input, same bits. Never hangs: when operations are pending and no event is, it reports the wait-for cycle
 * and fails. */
#ifndef PARTITA_ENGINE_ENGINE_H
#define PARTITA_ENGINE_ENGINE_H

#include "collective/collective.h"
#include "engine/network_model.h"
#include "platform/platform.h"
#include "program/program.h"

#include <stdio.h>

enum engine_level {
    ENGINE_FLUID,
    ENGINE_STEPS
}; /* how collectives are carried (DESIGN: fluid is the default) */

/* From `time` on, a link has this capacity. */
struct engine_change {
    double time;     /* seconds, >= 0 */
    double capacity; /* bytes per second, >= 0; 0: what needs the link stalls until it has some again */
    uint32_t link;
};

/* From `time` on, a class of traffic has this weight and cap, also what is under way of it. */
struct engine_traffic_change {
    double time;      /* seconds, >= 0 */
    uint32_t traffic; /* index into the job's `traffic` */
    struct traffic_class now;
};

/* Which algorithm carries the collectives of some groups and kinds. */
struct engine_choice {
    uint32_t group; /* interned name of the groups meant; UINT32_MAX: all */
    int kind;       /* enum collective_kind; COLLECTIVE_KIND_COUNT: all */
    const struct algorithm *algorithm;
};

/* What differs from run to run. NULL functions: nothing. Their times and seconds are >= 0 and finite. */
struct engine_random {
    void *state;
    /* How long a computation takes this time. Asked once per operation, when it starts. */
    double (*seconds)(void *state, uint32_t rank, const struct op *op);
    /* The next change of a link's capacity, in order of time; false: there are no more. */
    bool (*change)(void *state, struct engine_change *change);
};

struct engine_record;
struct engine_transfer;

/* A pass of all ranks through a section that is over, while its records last. Bases are added to modulo 2^32.
 */
struct engine_pass {
    uint32_t section, time; /* as in struct program_stretch */
    const struct engine_record *records;
    const uint32_t *first_record; /* per rank: records[first_record[rank] + slot] */
    const struct engine_transfer *transfers;
    const uint32_t *flows;      /* of each communication its transfer; UINT32_MAX: it had none */
    const uint32_t *first_flow; /* per group: flows[first_flow[group] + match], of receives and collectives */
    const struct activity *activities;
    uint32_t activity_count;
};

/* Is shown each pass of a job with sections, in their order. */
struct engine_observer {
    void *state;
    void (*pass)(void *state, const struct engine_pass *pass); /* NULL: nobody looks */
};

struct engine_options {
    const struct algorithm *algorithm; /* where no choice says otherwise; NULL: ring. A kind that it cannot do
                                          goes by collective_usual() */
    const struct engine_choice *choices; /* the first that fits decides */
    uint32_t choice_count;
    double chunk; /* bytes of payload: collectives are cut into pieces of at most this size, which follow each
                     other through the rounds; 0: whole */
    double pieces; /* … and into at least so many; 0: one */
    enum engine_level level;
    const struct network_model *network; /* NULL: fluid. One that knows messages only implies ENGINE_STEPS */
    double mtu, header, buffer;          /* bytes, see struct network_setting; 0: its defaults */
    uint64_t packet_limit;
    const struct engine_change *changes; /* in any order; of several at one time the last one holds */
    uint32_t change_count;
    const struct engine_traffic_change *traffic_changes; /* as well */
    uint32_t traffic_change_count;
    struct engine_random random;
    struct engine_observer observer;
    uint64_t instant_limit; /* releases in one instant beyond which the run is an error; 0: 10 million */
};

/* What released an operation last: the link of the critical path. */
enum engine_cause {
    CAUSE_BEGIN,      /* nothing: it could start at time 0 */
    CAUSE_STREAM,     /* the operation before it in its stream (cause_slot) */
    CAUSE_DEPENDENCY, /* a dependency (cause_slot, same rank) */
    CAUSE_PEER /* another member of its group that was ready last (cause_rank, cause_slot); of a receive
                  that was ready while its eager message was on its way: the send */
};

/* One executed operation. */
struct engine_record {
    double ready; /* stream free and dependencies ended, seconds */
    double start; /* compute: = ready. collective: all members ready. send, receive: the flow starts */
    double end;
    uint32_t cause_rank, cause_slot;
    uint8_t cause; /* enum engine_cause */
};

/* One communication on the network (a message or a whole collective). */
struct engine_transfer {
    double start, end, bytes; /* bytes: of the payload (struct op's `bytes`) */
    double latency;           /* seconds of [start, end] without bandwidth */
    uint32_t group, match;
    uint32_t activity; /* index into the result's activities: which links, how much of each */
    uint32_t label;    /* interned */
};

/* What a stream did in passes that are not kept. */
struct engine_book {
    double busy, last; /* seconds; last: end of its last operation */
};

/* What went by one activity in passes that are not kept. */
struct engine_sum {
    double bytes; /* payload */
    uint64_t transfers;
    uint32_t group; /* whose they were */
};

struct engine_result {
    struct arena arena;                /* owns the arrays, but for transfers and activities' array itself */
    struct engine_record *records;     /* per rank: records[first_record[rank] + slot] */
    uint32_t *first_record;            /* rank_count + 1 entries */
    struct engine_transfer *transfers; /* by start, group, match */
    uint32_t transfer_count;
    struct activity *activities; /* per (group, kind); of `auto` one per algorithm */
    uint32_t activity_count;
    double *link_bytes;        /* per link of the platform: bytes carried */
    double makespan;           /* seconds: first start to last end */
    uint64_t events;           /* queue events and releases processed */
    double (*stream_waits)[4]; /* per rank and stream (first_stream[rank] + stream): seconds it stood idle
                                  before an operation, by what released it (enum engine_cause); a member of a
                                  group: until it was ready by its own cause, from then on by CAUSE_PEER. Time
                                  0 to its first operation counts */
    uint32_t *first_stream;    /* rank_count + 1 entries */
    /* Of the steps that ran before the programs' own, or of all passes through a job's sections; NULL: there
     * were none. Records and transfers are of the programs' own steps only (of sections: none); times, waits,
     * makespan, events and link_bytes of the whole run. */
    struct engine_book *lead_books; /* per stream */
    struct engine_sum *lead_sums;   /* per activity */
    double lead_start;              /* seconds: first start */
};

/* Runs the job to its end. On failure returns false with a message in *error (allocated in job->arena): a
 * deadlock (the wait-for cycle with ranks and operations), no route between two members, a failed self-check,
 * too many releases in one instant. */
bool engine_run(struct platform *platform, struct job *job, const struct engine_options *options,
                struct engine_result *result, const char **error);
void engine_result_fini(struct engine_result *result);

/* The self-checks of a finished run, also run by engine_run itself: bytes sent = bytes received; busy + waits
 * = span on each stream, to 1e-9 relative; link bytes = what the transfers' activities say, to 1e-9. */
bool engine_check(const struct platform *platform, const struct job *job, const struct engine_result *result,
                  const char **error);

#endif
