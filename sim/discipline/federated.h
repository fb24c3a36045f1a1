/* Federated: the settings of federated learning, as read. */
#ifndef PARTITA_DISCIPLINE_FEDERATED_H
#define PARTITA_DISCIPLINE_FEDERATED_H

#include "base/distribution.h"
#include "discipline/discipline.h"

enum federated_mode { FEDERATED_SYNCHRONOUS, FEDERATED_ASYNCHRONOUS, FEDERATED_BUFFERED };
enum { FEDERATED_FIELDS = 19 };
enum { FEDERATED_KEY = 32, FEDERATED_SHARE = 32 }; /* bytes of a public key, of a share of a secret */

struct federated {
    const struct value *server, *edges, *clients;
    const struct value *samples_value, *speed_value, *down_value, *up_value;
    int mode;
    int64_t rounds, select, epochs, buffer, edge_rounds, secure_bits;
    double fraction, over; /* of clients; as many times as are waited for */
    double deadline;       /* seconds; 0: none */
    double dropout, available;
    bool secure;
    struct place deadline_place;
    struct distribution samples, speed, down, up; /* kind NULL: not given */
};

extern const struct field federated_read_fields[FEDERATED_FIELDS];
/* The defaults; and the devices that serve and train, the settings having been read. The latter reports and
 * returns false on bad input. */
void federated_read_prepare(void *settings);
bool federated_read_cast(struct input *input, const struct value *map, struct script *script);

#endif
