/* Default_plan: the plans that a bare model may be given, in the order in which they are tried, without those
 * that cannot fit. What is known of memory before planning is a lower bound: states in equal shares, and of
 * the activations those that the model itself says are kept. So a plan that is left out does not fit; one
 * that is left in may still not, which planning it tells. */
#ifndef PARTITA_STUDY_DEFAULT_PLAN_H
#define PARTITA_STUDY_DEFAULT_PLAN_H

#include "base/vector.h"
#include "plan/plan.h"

/* What is known of a model and a topology before anything is planned. */
struct default_facts {
    uint32_t devices;    /* of the topology */
    uint32_t neighbours; /* devices from the first one on that it reaches as fast as its next one */
    uint32_t units;
    uint32_t experts;             /* of its mixtures; 0: it has none */
    double memory;                /* bytes of the smallest device */
    double parameters;            /* all of them */
    double expert_parameters;     /* those that belong to one expert of a mixture */
    double kept[RECOMPUTE_COUNT]; /* bytes of activations of one sample that wait for the backward pass */
    double tokens;                /* of one sample; 0: it is not a sequence */
    enum precision precision;     /* of weights and activations */
    bool training;
    uint64_t prompt, generate; /* of an inference that generates text: tokens given, and to be made; else 0 */
};

/* One plan. `data` is what the other degrees leave of the devices. */
struct default_choice {
    uint32_t tensor, pipeline, context, data,
        expert;     /* degrees; expert 1: experts are split like other layers */
    uint32_t micro; /* samples of a micro-batch */
    uint32_t zero;
    enum plan_recompute recompute;
};

/* What the user has said: 0 in a field leaves it open; of `zero` and `recompute` −1. */
struct default_given {
    uint32_t tensor, pipeline, context, data, expert, micro;
    uint32_t global; /* samples of a step */
    int zero, recompute;
    bool no_optimizer, no_parameters, no_activations; /* they are kept elsewhere than on the devices */
    bool others; /* further keys of the plan or the batch, so that the bound may not hold */
};

struct default_choice_list {
    struct default_choice *at;
    uint32_t count, room;
};

/* Sizes of the model into `facts`: parameters, experts, kept activations. */
void default_plan_measure(const struct model *model, struct default_facts *facts, struct arena *scratch);

/* Samples that one data-parallel member is given in a step, at least: the largest micro-batch that is tried.
 */
uint32_t default_plan_samples(const struct default_facts *facts);

/* Bytes that a device needs at least. */
double default_plan_bound(const struct default_facts *facts, const struct default_given *given,
                          const struct default_choice *choice);

/* Appends the choices that may fit, those with the least model parallelism first; of equal ones those with
 * the least recomputation, then those with the largest micro-batch; parameters are shared out (ZeRO 3) only
 * where nothing else may fit. *least: the one that needs least memory, whether it may fit or not; its degrees
 * are 0 where no degrees divide the devices. */
void default_plan_list(const struct default_facts *facts, const struct default_given *given,
                       struct default_choice_list *choices, struct default_choice *least);

#endif
