/* Platform: devices, links, switches, shared media, and the routes between them.
 *
 * A node is a device or a switch. A link is one directed capacity with a latency; a full-duplex cable is two
 * links, a half-duplex cable and a shared medium are one link that serves every direction. An arc says "from
 * node a to node b over link l" (or over no link: free). A route is the list of links along the cheapest path
 * of arcs; a medium that a path crosses twice (station to station through the access point) stands twice in
 * it.
 *
 * Everything is reached by 32-bit index; names are interned. Built once by platform_load(), then read-only
 * except for the route cache. */
#ifndef PARTITA_PLATFORM_PLATFORM_H
#define PARTITA_PLATFORM_PLATFORM_H

#include "base/arena.h"
#include "base/kernel.h"
#include "base/names.h"
#include "base/precision.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>

struct array; /* platform/array.h */

struct device_type {
    uint32_t name;                   /* "A100-SXM4-80GB" */
    uint32_t kind;                   /* "gpu", "cpu", "edge", … */
    double peak[PRECISION_COUNT];    /* FLOP per second, dense; 0: not supported natively */
    double memory;                   /* bytes */
    double memory_bandwidth;         /* bytes per second */
    double launch;                   /* seconds of overhead per kernel */
    double efficiency[KERNEL_COUNT]; /* of peak (of memory bandwidth for KERNEL_MEMORY), 0 < e <= 1 */
    double power_busy, power_idle;   /* watts; 0: unknown */
};

enum link_mode { LINK_FULL_DUPLEX, LINK_HALF_DUPLEX, LINK_SHARED };

/* What a device is there for. Hosts and drives keep what workers leave with them; by default no plan splits
 * work over them. */
enum device_role { DEVICE_WORKER, DEVICE_HOST, DEVICE_DRIVE };

struct device {
    uint32_t name;  /* "gpu[3,5]" */
    uint32_t node;  /* index into nodes */
    uint32_t type;  /* index into device_types */
    uint32_t group; /* interned name of the array it belongs to: "gpu"; in a part its path, "box.gpu" */
    double speed;   /* multiplies peak and memory bandwidth; 1 unless a slow device is modelled */
    uint8_t role;   /* enum device_role */
};

/* How communication software sends over a kind of link: NCCL's LL, LL128, Simple … */
struct protocol {
    uint32_t name;     /* "LL" */
    double start;      /* seconds that a collective or a message costs once */
    double overhead;   /* seconds per message besides the wire, instead of the link's own overhead */
    double efficiency; /* bytes of payload per byte on the wire, 0 < e <= 1 */
    double limit;      /* bytes of payload per second, each direction; INFINITY: what the wire carries */
    bool in_switch;    /* of switches that reduce; the others are between devices */
};

struct link {
    double bandwidth; /* bytes per second, usable (efficiency already applied) */
    double latency;   /* seconds, the overhead included */
    double overhead;  /* seconds of it that a protocol takes the place of */
    double launch;    /* seconds that each collective over it costs once, whatever the protocol */
    uint32_t first_protocol, protocol_count; /* in the platform's `protocols`; count 0: the bare wire */
    uint32_t name;  /* "nvlink[3,5]>" and "<" for the two directions of a cable; "wifi" for a medium */
    uint32_t group; /* interned name of the entry in `links:` it comes from: "nvlink" */
    uint32_t mode;  /* enum link_mode */
};

struct node {
    uint32_t name;
    uint32_t device; /* index into devices, UINT32_MAX for a switch */
    bool terminal;   /* a device that passes on no traffic of others (`forward: no`) */
    bool reduces;    /* a switch that adds up and copies on the way (`reduces: yes`) */
    bool fetched;    /* … when its devices fetch and send the sums (NVLS), not by itself (SHARP) */
};

struct arc {
    uint32_t from, to; /* nodes */
    uint32_t link;     /* UINT32_MAX: free (leaving a medium) */
};

/* How a message finds its way: which paths are allowed, what makes one short, and what happens when several
 * are equally short. */
enum routing_paths { ROUTING_SHORTEST, ROUTING_DIMENSION_ORDER, ROUTING_UP_DOWN };
enum routing_cost { ROUTING_LATENCY, ROUTING_HOPS };
enum routing_spread { ROUTING_ONE, ROUTING_ECMP, ROUTING_EVEN_SPLIT };

struct routing_fixed {     /* an explicit route */
    uint32_t from, to;     /* devices */
    uint32_t first, count; /* its arcs: routing.arcs.at[first …] */
};

struct routing {
    int paths, cost, spread; /* the enums above */
    uint64_t seed;           /* of ROUTING_ECMP */
    uint32_t *level;         /* per node, of ROUTING_UP_DOWN: steps from the nearest device; else NULL */
    VECTOR(struct routing_fixed) fixed; /* sorted by (from, to) */
    struct index_list arcs;
};

struct platform {
    struct arena arena;  /* owns what follows */
    struct names *names; /* not owned */
    uint32_t name;       /* of the topology */
    VECTOR(struct device_type) device_types;
    VECTOR(struct device) devices;
    VECTOR(struct link) links;
    VECTOR(struct protocol) protocols; /* by table; one table for all links that share a type */
    struct index_list protocol_names;  /* interned, each once, in the order of their appearance */
    VECTOR(struct node) nodes;
    VECTOR(struct array) arrays; /* of devices and of switches, by ascending first node; `first` is a node */
    VECTOR(struct arc) arcs;     /* sorted by `from` once built */
    uint32_t *first_arc;         /* per node + 1: compressed rows of arcs */
    struct routing routing;
    struct route_table *table; /* routes said link by link; NULL: none; owned by route_table.c */
    int layout;                /* index into topology_layouts: how to draw it */
    struct route_cache *cache; /* owned by route.c */
};

void platform_init(struct platform *platform, struct names *names);
void platform_fini(struct platform *platform);

/* How many devices are workers, and (appended to `out`) which. */
uint32_t platform_workers(const struct platform *platform);
void platform_list_workers(const struct platform *platform, struct index_list *out);

#endif
