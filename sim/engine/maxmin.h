/* Max-min: the levels of links and flows, and their repair after a change. Knows no time and no bytes: the
 * network tells it which flows there are, and it tells the network whose rate changed.
 *
 * Weights are folded into the coefficients: a flow of weight w has rate w · level and takes
 * coefficient · w · level of a link, so inside here every problem is unweighted. A rate cap is a private link
 * of that capacity. In the fixed point a flow's level is the least level along its links, that link is its
 * bottleneck, and a link that limits nobody has level infinity. */
#ifndef PARTITA_ENGINE_MAXMIN_H
#define PARTITA_ENGINE_MAXMIN_H

#include "engine/incidence.h"
#include "engine/network.h"

#include <math.h>

enum { MAXMIN_NONE = UINT32_MAX };

struct maxmin_link {
    double capacity;
    double level;       /* common level of the flows that it limits; INFINITY: none */
    double smaller;     /* capacity taken by the flows below `threshold`, as far as this pass knows */
    double open;        /* sum of the coefficients of the others */
    double threshold;   /* a flow that stood below it at the last scan counts in `smaller` */
    float open_at_scan; /* `open` has lost its digits when little of this is left */
    uint32_t pass;      /* the pass that the state below belongs to */
    uint32_t place;     /* in the sweep's heap, MAXMIN_NONE: not there */
    uint32_t first, count;
    uint8_t size_class;
    uint8_t state; /* bits of enum link_state in maxmin.c, of this pass */
    uint8_t dirty; /* 1: a flow left, 2: needs a scan; kept from the change to the next pass */
};

struct maxmin_flow {
    double level;
    uint32_t bottleneck; /* a link; MAXMIN_NONE: undecided (level infinity) or not attached */
    uint32_t pass;       /* the last pass that changed it */
};

/* A flow's list of links, written before it is attached. */
struct maxmin_route {
    uint32_t first, count;
    uint32_t cap_link; /* its private link, MAXMIN_NONE if uncapped */
    uint8_t size_class;
    uint8_t attached;
};

struct maxmin_change {
    uint32_t flow;
    double before; /* its level before the pass */
};

struct maxmin_entry {
    double key; /* no link below this level is left to be closed or opened */
    uint32_t link;
};

/* A link in a solve from scratch (fill.c). */
struct fill_link {
    double smaller; /* capacity taken by the flows decided so far */
    double open;    /* sum of the coefficients of the others; not kept up while all are 1 */
    float floor;    /* below it `open` has lost its digits */
    uint32_t left;  /* flows not yet decided */
};

struct maxmin {
    VECTOR(struct maxmin_link) links; /* the platform's, then private ones */
    VECTOR(struct maxmin_flow) flows; /* by the network's flow identity */
    VECTOR(struct maxmin_route) routes;
    struct incidence_pool pool;
    struct index_list free_links; /* private links to use again */
    struct index_list dirty;      /* links with a change since the last pass */
    struct index_list arrivals;   /* flows attached since the last pass */
    VECTOR(struct maxmin_change) changes;
    VECTOR(struct maxmin_entry) heap;
    VECTOR(struct fill_link) sums; /* by link; of the present solve from scratch */
    uint32_t platform_links;       /* links below this are not private */
    uint32_t pass;
    uint32_t undecided;   /* flows without a level yet */
    uint32_t attached;    /* flows that compete */
    uint32_t touched;     /* flows that the last sweep or solve from scratch changed */
    uint8_t solver;       /* enum network_solver */
    double sweep, anchor; /* level reached by the sweep; level of the last closing */
};

void maxmin_init(struct maxmin *maxmin, const double *capacities, uint32_t link_count);
void maxmin_fini(struct maxmin *maxmin);

/* Writes the route of a flow (no change of rates yet); identities are 0, 1, 2, … and used again. */
void maxmin_define(struct maxmin *maxmin, uint32_t flow, const struct network_usage *usage,
                   uint32_t usage_count, double weight, double cap);
void maxmin_attach(struct maxmin *maxmin, uint32_t flow); /* it now competes */
void maxmin_detach(struct maxmin *maxmin, uint32_t flow); /* it no longer does, its route is forgotten */

/* Changes a flow's weight, or its cap (INFINITY: none). What it changes for others is found out by the next
 * maxmin_solve(); the flow's own rate, weight · level, follows its weight even where the level stays. */
void maxmin_scale(struct maxmin *maxmin, uint32_t flow, double before, double weight);
void maxmin_set_cap(struct maxmin *maxmin, uint32_t flow, double weight, double cap);
/* Changes a link's capacity, bytes per second; seen by the next maxmin_solve(). */
void maxmin_set_capacity(struct maxmin *maxmin, uint32_t link, double capacity);

/* Brings all levels to the fixed point. Afterwards `changes` lists each flow that this pass touched, with its
 * level before (0 for a new one). */
void maxmin_solve(struct maxmin *maxmin);

/* For the two ways to solve. The level at which a link closes whose candidate is `level`, with `open` the sum
 * of the coefficients of the flows it limits: the link's old level, or the last one closed, when they are the
 * same but for rounding. So equal flows keep equal bits, and unchanged ones theirs. */
double maxmin_closing_level(struct maxmin *maxmin, uint32_t link, double level, double open);

/* Relative distance within which two levels of this link are the same. The rounding error of a candidate is
 * that of `smaller`, magnified by how little of the capacity is left for the others. */
double maxmin_tolerance(const struct maxmin_link *link, double level, double open);

/* False when either is infinite. */
static inline bool maxmin_same(double a, double b, double relative)
{
    return fabs(a - b) <= relative * (a < b ? a : b);
}

static inline bool maxmin_entry_before(struct maxmin_entry a, struct maxmin_entry b)
{
    return a.key < b.key || (a.key == b.key && a.link < b.link);
}

#endif
