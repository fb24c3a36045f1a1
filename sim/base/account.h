/* Account: what a run has to say of itself beyond times and bytes: named numbers ("updates", "late arrivals")
 * and histograms ("staleness"). Printed in the summary and stored in the database. Names are texts that live
 * as long as the account. */
#ifndef PARTITA_BASE_ACCOUNT_H
#define PARTITA_BASE_ACCOUNT_H

#include "base/unit.h"
#include "base/vector.h"

struct account_number {
    const char *name;
    enum unit unit;
    double value;
};

struct account_bin {
    const char *name; /* of the histogram */
    uint64_t value, count;
};

struct account {
    VECTOR(struct account_number) numbers; /* in order of first mention */
    VECTOR(struct account_bin) bins;       /* of each histogram by ascending value */
};

void account_fini(struct account *account);
/* A number, made where there is none of this name. */
void account_set(struct account *account, const char *name, enum unit unit, double value);
void account_add(struct account *account, const char *name, double more); /* starts at 0, without unit */
double account_get(const struct account *account, const char *name);      /* NAN: never mentioned */
/* One more of a value. */
void account_count(struct account *account, const char *histogram, uint64_t value);
double account_mean(const struct account *account, const char *histogram); /* NAN: it is empty */
uint64_t account_most(const struct account *account, const char *histogram);

#endif
