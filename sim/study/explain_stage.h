/* Explain a stage: what an explanation looks up in a derivation again and again, found once: which
 * communications each operator asks for, which copies of an operator are the rounds of a fused block, and
 * predicted prices. Built in time linear in the derivation. */
#ifndef PARTITA_STUDY_EXPLAIN_STAGE_H
#define PARTITA_STUDY_EXPLAIN_STAGE_H

#include "plan/cache.h"
#include "plan/price.h"
#include "plan/work.h"

struct explain_stage {
    const struct derivation *d;
    struct arena arena;
    struct prices *prices;
    uint32_t
        *first_operator;  /* per layer of the model: its first operator in the derivation, or MODEL_NONE */
    uint32_t *parameter;  /* per tensor of the model: its parameter in the derivation, or MODEL_NONE */
    uint32_t *next_round; /* per operator of the derivation: the same one for the next tile, or MODEL_NONE */
    struct explain_asked {
        uint32_t *actions;        /* indices of communications, by who asked */
        uint32_t *first;          /* per operator of the derivation, one more for nobody, and the end */
    } asked[2];                   /* forward, backward */
    struct cache_readers readers; /* of what is kept of earlier tokens */
};

void explain_stage_init(struct explain_stage *stage, const struct derivation *derivation);
void explain_stage_fini(struct explain_stage *stage);

/* Operators of the derivation that stand for a layer: [*first, the result) is the first tile's copy. */
uint32_t explain_stage_operators(const struct explain_stage *stage, uint32_t layer, uint32_t *first);

/* How many tiles a device computes of an operator, one after the other. */
uint32_t explain_stage_rounds(const struct explain_stage *stage, uint32_t layer_op);

struct explain_share {
    double forward, input,
        weight; /* FLOPs of the forward pass, of the operands' and the parameters' gradients */
    double weights, inputs, output; /* bytes; inputs without parameters */
};
/* What one device has of an operator, over all of its tiles. */
struct explain_share explain_stage_share(const struct explain_stage *stage, uint32_t layer_op,
                                         uint32_t member);

struct explain_shares {
    struct explain_share least, most;
    bool all;
};
/* The least and the most that any device has. Where all shares are equal, the first device's is computed; on
 * more than 64 devices too (`all` is false then). */
struct explain_shares explain_stage_shares(const struct explain_stage *stage, uint32_t layer_op);

/* Bytes that the first device keeps of a layer's output for later tokens, with as many as there will be; 0:
 * nothing. */
double explain_stage_kept(const struct explain_stage *stage, uint32_t layer);

/* Bytes of all messages of an action. */
double explain_stage_bytes(const struct derivation *d, const struct action *action);

#endif
