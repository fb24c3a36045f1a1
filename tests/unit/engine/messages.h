/* Messages: drives any network model with a small list of messages and changes of capacity, as the engine
 * does, and notes when each message is done. */
#ifndef PARTITA_TEST_MESSAGES_H
#define PARTITA_TEST_MESSAGES_H

#include "engine/network_model.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MESSAGES_MOST = 64, MESSAGES_LINKS = 64, MESSAGES_HOPS = 12 };

struct test_message {
    double start, bytes;
    uint32_t path[MESSAGES_HOPS], path_length;
    double end; /* as the model said; INFINITY: never */
};

struct test_change {
    double time, capacity;
    uint32_t link;
};

struct test_messages {
    double capacities[MESSAGES_LINKS], latencies[MESSAGES_LINKS];
    bool shared[MESSAGES_LINKS];
    uint32_t link_count;
    double mtu, header, buffer;
    uint64_t packet_limit;
    struct test_message messages[MESSAGES_MOST];
    uint32_t count;
    struct test_change changes[8]; /* by time */
    uint32_t change_count;
    double carried[MESSAGES_LINKS];
    uint64_t events;
    char problem[256];
    uint32_t stall[16], stall_count;
};

static inline uint32_t messages_link(struct test_messages *test, double capacity, double latency)
{
    test->capacities[test->link_count] = capacity;
    test->latencies[test->link_count] = latency;
    return test->link_count++;
}

static inline uint32_t messages_add(struct test_messages *test, double start, double bytes, uint32_t length,
                                    const uint32_t *path)
{
    struct test_message *message = &test->messages[test->count];
    *message = (struct test_message){.start = start, .bytes = bytes, .path_length = length, .end = INFINITY};
    memcpy(message->path, path, length * sizeof *path);
    return test->count++;
}
#define PATH(...) (sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)), ((uint32_t[]){__VA_ARGS__})

static inline double messages_latency(const struct test_messages *test, const struct test_message *message)
{
    double latency = 0;
    for (uint32_t h = 0; h < message->path_length; h++)
        latency += test->latencies[message->path[h]];
    return latency;
}

static inline void messages_start(struct test_messages *test, const struct network_model *model, void *net,
                                  double now, uint32_t m)
{
    const struct test_message *message = &test->messages[m];
    struct network_usage usage[MESSAGES_HOPS];
    uint32_t count = 0;
    for (uint32_t h = 0; h < message->path_length; h++) {
        uint32_t i = 0;
        while (i < count && usage[i].link != message->path[h])
            i++;
        if (i == count)
            usage[count++] = (struct network_usage){message->path[h], 0};
        usage[i].coefficient += 1;
    }
    model->start(net, now,
                 &(struct network_message){.usage = usage,
                                           .usage_count = count,
                                           .path = message->path,
                                           .path_length = message->path_length,
                                           .bytes = message->bytes,
                                           .latency = messages_latency(test, message),
                                           .cap = INFINITY,
                                           .tag = m});
}

static inline double messages_next(const struct test_messages *test, double next, const bool *started,
                                   uint32_t changed)
{
    for (uint32_t m = 0; m < test->count; m++)
        if (!started[m])
            next = fmin(next, test->messages[m].start);
    return changed < test->change_count ? fmin(next, test->changes[changed].time) : next;
}

/* Runs until nothing happens any more; messages that are not done keep the end INFINITY. */
static inline void messages_run(struct test_messages *test, const struct network_model *model)
{
    struct network_setting setting = {test->capacities, test->latencies, test->shared, test->link_count,
                                      test->mtu,        test->header,    test->buffer, test->packet_limit};
    void *net = model->open(&setting);
    bool started[MESSAGES_MOST] = {false};
    uint32_t changed = 0;
    for (uint32_t m = 0; m < test->count; m++)
        test->messages[m].end = INFINITY;
    test->problem[0] = 0;
    for (double now; !test->problem[0];) {
        now = messages_next(test, model->next(net), started, changed);
        if (now == INFINITY)
            break;
        double limit = now * (1 + 4 * DBL_EPSILON);
        const uint32_t *tags;
        uint32_t count = model->advance(net, now, &tags);
        for (uint32_t i = 0; i < count; i++)
            test->messages[tags[i]].end = now;
        for (; changed < test->change_count && test->changes[changed].time <= limit; changed++)
            model->set_capacity(net, now, test->changes[changed].link, test->changes[changed].capacity);
        for (uint32_t m = 0; m < test->count; m++) {
            if (started[m] || test->messages[m].start > limit)
                continue;
            started[m] = true;
            messages_start(test, model, net, now, m);
        }
        model->solve(net, now);
        if (model->problem && model->problem(net))
            strncpy(test->problem, model->problem(net), sizeof test->problem - 1);
    }
    for (uint32_t l = 0; l < test->link_count; l++)
        test->carried[l] = model->carried(net, l);
    test->events = model->events ? model->events(net) : 0;
    test->stall_count = model->stall ? model->stall(net, test->stall, 16) : 0;
    model->close(net);
}

#endif
