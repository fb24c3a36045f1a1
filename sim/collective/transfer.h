/* Transfer: the steps of a collective. A list holds point-to-point transfers, by ascending round; all
 * transfers of a round run at the same time. The buffer is cut into `chunks` equal parts and each transfer
 * names those that it moves, so that a checker can tell what every member ends with.
 *
 * What chunk c means. All-reduce, broadcast, reduce: a part of the vector. Reduce-scatter, all-gather,
 * scatter, gather: a part of the share of transfer_home(c). All-to-all: chunk p of member m is a place: at
 * the start it has what m sends to the member that is p places on, at the end what m got from the member p
 * places back, and a transfer puts the sender's places into the same places of the receiver. With several
 * dimensions "p places on" goes by the digits of p, dimension 0 the most significant one. A barrier moves a
 * chunk of no bytes. Halo exchange: of the two chunks of transfer_home(c), half of the payload each, the
 * first is what that member has for the next one, the second what it has for the one before. */
#ifndef PARTITA_COLLECTIVE_TRANSFER_H
#define PARTITA_COLLECTIVE_TRANSFER_H

#include "base/communication.h"
#include "base/vector.h"

#include <stdbool.h>

/* Moves the chunks base + (chunk + i·stride + j) mod modulus, for i < repeats and j < run. */
struct transfer_step {
    uint32_t round, from, to; /* member indices */
    uint32_t chunk, run, stride, repeats;
    uint32_t base, modulus;
    bool reduce;     /* the receiver adds it to what it has; otherwise it replaces that */
    double fraction; /* bytes = fraction · payload */
};

struct transfer_list {
    struct transfer_step *at;
    uint32_t count, room;
    struct index_list
        times; /* round r stands for times.at[r] equal rounds (of other chunks); empty: for one */
    int kind;
    uint32_t members, chunks;
};

enum { SHAPE_DEPTH = 8 };

struct algorithm;

/* How the members of a group stand to each other. Member m has the digits of m as coordinates, dimension 0
 * (the innermost level) varies fastest. */
struct shape {
    uint32_t members;
    uint32_t depth; /* dimensions or levels; 1: flat */
    uint32_t sizes[SHAPE_DEPTH];
    const struct algorithm *inner[SHAPE_DEPTH]; /* of each level; NULL: the usual one */
    const struct algorithm *algorithm;          /* whose steps are asked for */
};

/* Members that all stand alike: one level. */
struct shape transfer_flat(uint32_t members);

/* Says of which collective the list is, before anything is added. */
void transfer_begin(struct transfer_list *list, int kind, uint32_t members, uint32_t chunks);

/* `count` chunks from `chunk` on, round the end of the buffer if need be. */
void transfer_add(struct transfer_list *list, uint32_t round, uint32_t from, uint32_t to, uint32_t chunk,
                  uint32_t count, bool reduce);

/* Runs of `run` chunks that begin `stride` apart. */
void transfer_add_runs(struct transfer_list *list, uint32_t round, uint32_t from, uint32_t to, uint32_t chunk,
                       uint32_t run, uint32_t stride, uint32_t repeats);

/* Turns the transfers from index `first` on round: last round first, from receiver to sender. What spread a
 * chunk from its home now collects it there: an all-gather becomes a reduce-scatter (reduce: yes), a
 * broadcast a reduce (yes), a scatter a gather (no). */
void transfer_reverse(struct transfer_list *list, uint32_t first, bool reduce);

/* The round after the last one. */
uint32_t transfer_rounds(const struct transfer_list *list);

/* The i-th chunk of a step, i < run · repeats. */
uint32_t transfer_chunk(const struct transfer_step *step, uint32_t i);

/* The member whose share chunk c belongs to. */
uint32_t transfer_home(const struct transfer_list *list, const struct shape *shape, uint32_t chunk);

/* The member that lies by the digits of `place` beyond (or before) a member. */
uint32_t transfer_beyond(const struct shape *shape, uint32_t member, uint32_t place);
uint32_t transfer_before(const struct shape *shape, uint32_t member, uint32_t place);

/* Unequal sizes: sets the fractions from shares of the payload. Reduce-scatter, all-gather, scatter, gather:
 * shares[member]. All-to-all: shares[from · members + to]. Other kinds have no shares and stay as they are.
 */
void transfer_weigh(struct transfer_list *list, const struct shape *shape, const double *shares);

void transfer_fini(struct transfer_list *list);

#endif
