#include "discipline/casting.h"
#include "discipline/client_keys.h"
#include "discipline/federated.h"

#include "input/read_distribution.h"

static const char *const federated_modes[] = {"synchronous", "asynchronous", "buffered", NULL};

#define AT(member) offsetof(struct federated, member)
const struct field federated_read_fields[FEDERATED_FIELDS] = {
    {.key = "server",
     .kind = FIELD_VALUE,
     .offset = AT(server),
     .required = true,
     .about = "the device that draws clients and adds their models up"},
    {.key = "clients",
     .kind = FIELD_VALUE,
     .offset = AT(clients),
     .about = "devices that train; by default all that do not serve"},
    {.key = "edges",
     .kind = FIELD_VALUE,
     .offset = AT(edges),
     .about = "devices between server and clients, each for an equal run of the clients"},
    {.key = "edge-rounds",
     .kind = FIELD_INTEGER,
     .offset = AT(edge_rounds),
     .low = 1,
     .high = 1e6,
     .about = "rounds of an edge for each of the server; 1 by default"},
    {.key = "mode",
     .kind = FIELD_CHOICE,
     .offset = AT(mode),
     .choices = federated_modes,
     .about = "synchronous rounds (default); asynchronous: each update is a round; buffered: each `buffer` "
              "of them"},
    {.key = "rounds",
     .kind = FIELD_INTEGER,
     .offset = AT(rounds),
     .low = 1,
     .high = 1e7,
     .about = "how many; 10 by default"},
    {.key = "select",
     .kind = FIELD_INTEGER,
     .offset = AT(select),
     .low = 1,
     .high = 1e7,
     .about = "updates that end a round (of each edge); asynchronous: clients that train at a time. All by "
              "default"},
    {.key = "buffer",
     .kind = FIELD_INTEGER,
     .offset = AT(buffer),
     .low = 1,
     .high = 1e7,
     .about = "buffered: updates that are added up to a new model"},
    {.key = "fraction",
     .kind = FIELD_NUMBER,
     .offset = AT(fraction),
     .low = 0,
     .high = 1,
     .about = "instead of `select`: of the clients"},
    {.key = "over-select",
     .kind = FIELD_NUMBER,
     .offset = AT(over),
     .low = 1,
     .high = 1e6,
     .about = "so many times as many clients are drawn; 1 by default"},
    {.key = "deadline",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_SECONDS,
     .offset = AT(deadline),
     .low = 1e-9,
     .high = 1e12,
     .about = "of a round: it goes on with what has come"},
    {CLIENT_KEYS_EPOCHS(AT(epochs))},
    {CLIENT_KEYS_SAMPLES(AT(samples_value))},
    {.key = "speed",
     .kind = FIELD_VALUE,
     .offset = AT(speed_value),
     .about = "of a client: a factor on its device's, a number or a distribution"},
    {.key = "downlink",
     .kind = FIELD_VALUE,
     .offset = AT(down_value),
     .about = "of a client: a limit besides the network's, a bandwidth or a distribution"},
    {.key = "uplink", .kind = FIELD_VALUE, .offset = AT(up_value), .about = "as well"},
    {.key = "available",
     .kind = FIELD_NUMBER,
     .offset = AT(available),
     .low = 0,
     .high = 1,
     .about = "probability that an idle client can be drawn; 1 by default"},
    {.key = "dropout",
     .kind = FIELD_NUMBER,
     .offset = AT(dropout),
     .low = 0,
     .high = 1,
     .about = "probability that a client that was drawn is lost while it trains; 0 by default"},
    {.key = "secure-aggregation",
     .kind = FIELD_INTEGER,
     .offset = AT(secure_bits),
     .low = 1,
     .high = 64,
     .about = "bits of a number: updates are masked in pairs, so that the server sees their sum only"},
};
#undef AT

void federated_read_prepare(void *settings)
{
    struct federated *own = settings;
    own->rounds = 10;
    own->epochs = own->edge_rounds = 1;
    own->over = own->available = 1;
    own->fraction = -1;
    own->buffer = -1;
}

static bool read_distributions(struct input *input, struct federated *own)
{
    const struct {
        const struct value *value;
        const char *what;
        enum unit unit;
        struct distribution *out;
    } all[] = {{own->samples_value, "the samples of a client", UNIT_NONE, &own->samples},
               {own->speed_value, "the speed of a client", UNIT_NONE, &own->speed},
               {own->down_value, "the downlink of a client", UNIT_BYTES_PER_SECOND, &own->down},
               {own->up_value, "the uplink of a client", UNIT_BYTES_PER_SECOND, &own->up}};
    bool good = true;
    for (size_t i = 0; i < FIELDS_COUNT(all); i++)
        if (all[i].value)
            good = read_distribution(input, all[i].value, all[i].what, all[i].unit, NULL, all[i].out) && good;
    return good;
}

/* What goes with what. */
static bool check_modes(struct input *input, const struct value *map, struct federated *own)
{
    static const char *const synchronous[] = {"over-select", "deadline", "edges", "secure-aggregation"};
    for (size_t i = 0; own->mode != FEDERATED_SYNCHRONOUS && i < FIELDS_COUNT(synchronous); i++)
        if (value_get(map, synchronous[i]))
            return report_error(&input->report, casting_place(map, synchronous[i]),
                                "%s is for synchronous rounds; this mode takes what comes", synchronous[i]);
    if (own->select && own->fraction >= 0)
        return report_error(&input->report, casting_place(map, "fraction"),
                            "give `select` or `fraction`, not both");
    bool buffered = own->mode == FEDERATED_BUFFERED;
    if (buffered != (own->buffer > 0))
        return report_error(&input->report, casting_place(map, buffered ? "mode" : "buffer"),
                            buffered ? "mode buffered needs a `buffer`" : "a buffer is for mode buffered");
    if (!buffered)
        own->buffer = 1;
    if (own->fraction < 0)
        own->fraction = 1;
    own->secure = own->secure_bits > 0;
    own->deadline_place = casting_place(map, "deadline");
    return true;
}

bool federated_read_cast(struct input *input, const struct value *map, struct script *script)
{
    struct federated *own = script->settings;
    bool good = read_distributions(input, own) && check_modes(input, map, own);
    if (!good || !casting_select(input, script, own->server, "a server", &script->servers))
        return false;
    if (script->servers.count != 1)
        return report_error(&input->report, own->server->place, "expected one device as server; got %u",
                            script->servers.count);
    if (own->edges && !casting_select(input, script, own->edges, "edges", &script->servers))
        return false;
    if (!casting_learners(input, script, own->clients, "clients"))
        return false;
    if (own->edges && script->servers.count - 1 > script->learners.count)
        return report_error(&input->report, own->edges->place, "%u edges are more than the %u clients",
                            script->servers.count - 1, script->learners.count);
    return own->select <= script->learners.count ||
           report_error(&input->report, casting_place(map, "select"), "select is %lld; there are %u clients",
                        (long long)own->select, script->learners.count);
}
