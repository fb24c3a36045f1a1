/* Discipline: how those who train a model together keep it in step, decided while the run goes on: a
 * parameter server, federated rounds, split learning, averaging. Each is one file and one table entry. It is
 * read from a workload's `discipline:` into a script (who takes part, and the discipline's own settings); the
 * study prices the script (what a step costs on each device, by Partita's own plan of it) and then stages it,
 * once or many times, as actors on the engine's clock and network. docs/disciplines.md has the models. */
#ifndef PARTITA_DISCIPLINE_DISCIPLINE_H
#define PARTITA_DISCIPLINE_DISCIPLINE_H

#include "base/account.h"
#include "engine/actors.h"
#include "input/fields.h"

struct discipline;

/* Work of one kind on one device. */
struct script_work {
    double seconds, flops, memory_bytes;
};

/* What one step of training costs on one device, with the workload's batch. */
struct script_cost {
    struct script_work forward, backward, optimizer;
    struct script_work add; /* adding one copy of the parameters to a sum of such */
};

/* A part of a model that is cut: what one step costs, and what crosses. */
struct script_half {
    struct script_work forward, backward, optimizer;
    double weight_bytes; /* of its parameters, one copy */
};

/* A discipline with everything that it needs to know. */
struct script {
    const struct discipline *discipline;
    void *settings; /* the discipline's own */
    struct platform *platform;
    struct names *names;
    struct place place;
    struct index_list devices;  /* of the platform, per rank; all different. Owned */
    struct index_list learners; /* ranks that train. Owned */
    struct index_list servers;  /* ranks that serve, maybe learners too. Owned */
    const struct value *cut;    /* the last layer of the first half; NULL: nothing is cut */
    const struct value *tail;   /* the first layer of a last part that is the learners' again; NULL: none */
    /* Filled by whoever prices it. */
    struct script_cost *costs;    /* per rank */
    struct script_half *clients;  /* per rank, of a cut: the learners' first part */
    struct script_half *bodies;   /* per rank, of a cut: the servers' part */
    struct script_half *tails;    /* per rank, of two cuts: the learners' last part */
    double cut_bytes, tail_bytes; /* of a batch's activations at the cuts; their gradients have as many */
    double weight_bytes;          /* of the parameters as they are sent out */
    double gradient_bytes;        /* of the gradients as they are sent back */
    double parameters;            /* numbers */
    double batch;                 /* samples of a step */
};

/* One performance of a script. */
struct stage {
    const struct script *script;
    struct actors *actors;
    struct account *account; /* not owned */
    struct arena *arena;     /* until the performance is over */
    uint64_t seed;
    VECTOR(double) marks; /* seconds: the ends of what recurs. Owned */
    double samples;       /* learned from, by what counts */
    void *state;          /* the discipline's, in the arena */
};

struct discipline {
    const char *name, *about;
    const char
        *recurs; /* what a mark is the end of: "step" (of as many updates as there are workers), "round" */
    bool draws;  /* makes random choices of its own: two seeds may give two results */
    const struct field *fields;
    uint32_t field_count;
    size_t size; /* of the settings */
    /* Sets the defaults. NULL: zeros. */
    void (*prepare)(void *settings);
    /* Checks what was read and says who takes part. Reports and returns false on bad input. */
    bool (*cast)(struct input *input, const struct value *map, struct script *script);
    void (*start)(struct stage *stage);
    /* When nothing happens any more: why the run is not over; NULL: it is. In the stage's arena. */
    const char *(*unfinished)(struct stage *stage);
};

extern const struct discipline parameter_server_discipline, backup_workers_discipline, averaging_discipline,
    gossip_discipline, federated_discipline, split_learning_discipline;
extern const struct discipline *const discipline_table[]; /* NULL-terminated */

/* Reads `discipline:`; fini in either case. */
bool discipline_read(struct input *input, const struct value *map, struct platform *platform,
                     struct names *names, struct script *script);
void discipline_fini(struct script *script);

/* Performs a priced script. On success fills the (empty) job and the result, the account, and *marks (to be
 * freed) and *samples; otherwise *error in the job's arena. */
bool discipline_run(const struct script *script, const struct engine_options *options, uint64_t seed,
                    struct job *job, struct engine_result *result, struct account *account,
                    struct stage *stage, const char **error);

#endif
