#include "base/account.h"

#include <math.h>
#include <string.h>

void account_fini(struct account *account)
{
    VECTOR_FREE(&account->numbers);
    VECTOR_FREE(&account->bins);
}

static struct account_number *account_number(struct account *account, const char *name, enum unit unit)
{
    for (uint32_t i = 0; i < account->numbers.count; i++)
        if (strcmp(account->numbers.at[i].name, name) == 0)
            return &account->numbers.at[i];
    VECTOR_PUSH(&account->numbers, ((struct account_number){name, unit, 0}));
    return &account->numbers.at[account->numbers.count - 1];
}

void account_set(struct account *account, const char *name, enum unit unit, double value)
{
    account_number(account, name, unit)->value = value;
}

void account_add(struct account *account, const char *name, double more)
{
    account_number(account, name, UNIT_NONE)->value += more;
}

double account_get(const struct account *account, const char *name)
{
    for (uint32_t i = 0; i < account->numbers.count; i++)
        if (strcmp(account->numbers.at[i].name, name) == 0)
            return account->numbers.at[i].value;
    return NAN;
}

void account_count(struct account *account, const char *histogram, uint64_t value)
{
    uint32_t at = 0;
    while (at < account->bins.count &&
           (strcmp(account->bins.at[at].name, histogram) != 0 || account->bins.at[at].value < value))
        at++;
    if (at < account->bins.count && account->bins.at[at].value == value) {
        account->bins.at[at].count++;
        return;
    }
    struct account_bin bin = {histogram, value, 1};
    VECTOR_PUSH(&account->bins, bin);
    /* Before the first larger value of the same histogram; a new largest one goes to the end. */
    for (uint32_t i = account->bins.count - 1; i > at; i--)
        account->bins.at[i] = account->bins.at[i - 1];
    account->bins.at[at] = bin;
}

double account_mean(const struct account *account, const char *histogram)
{
    double sum = 0, count = 0;
    for (uint32_t i = 0; i < account->bins.count; i++)
        if (strcmp(account->bins.at[i].name, histogram) == 0) {
            sum += (double)account->bins.at[i].value * (double)account->bins.at[i].count;
            count += (double)account->bins.at[i].count;
        }
    return count > 0 ? sum / count : NAN;
}

uint64_t account_most(const struct account *account, const char *histogram)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < account->bins.count; i++)
        if (strcmp(account->bins.at[i].name, histogram) == 0 && account->bins.at[i].value > most)
            most = account->bins.at[i].value;
    return most;
}
