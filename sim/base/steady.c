#include "base/steady.h"

#include "base/estimate.h"
#include "base/vector.h"

#include <math.h>

enum { FIVE = 5, BATCHES = 20 };

/* The cut with the least standard error, in averages of five: sum of squares of the rest over its squared
 * number. Sums run from the end, so that each cut costs one addition. Cuts that differ by rounding only are
 * equal, and the first of them counts. */
static uint32_t steady_cut(const double *averages, uint32_t count)
{
    double sum = 0, squares = 0, least = INFINITY, shift = averages[count - 1];
    uint32_t cut = 0;
    for (uint32_t i = count; i-- > 0;) {
        double value = averages[i] - shift, left = count - i;
        sum += value;
        squares += value * value;
        double error = fmax(squares - sum * sum / left, 0) / (left * left);
        double rounding = 1e-20 * shift * shift;
        if (left >= FIVE && error <= least + rounding) {
            least = fmin(least, error);
            cut = i;
        }
    }
    return cut;
}

/* Whether the means of the batches rise or fall beyond chance: Kendall's count of pairs in order less those
 * out of order, at four standard deviations (Mann, Econometrica 13, 1945). What grows and grows (a queue that
 * is not served fast enough) varies most at its end, where no cut removes it. */
static bool steady_drifts(const double *means, uint32_t count)
{
    double pairs = 0, n = count, least = means[0], most = means[0];
    for (uint32_t i = 0; i < count; i++) {
        least = fmin(least, means[i]);
        most = fmax(most, means[i]);
        for (uint32_t j = i + 1; j < count; j++)
            pairs += (means[j] > means[i]) - (means[j] < means[i]);
    }
    bool same = most - least <= 1e-9 * fabs(most); /* but for rounding */
    return !same && fabs(pairs) > 4 * sqrt(n * (n - 1) * (2 * n + 5) / 18);
}

struct steady steady_find(const double *times, uint32_t count)
{
    struct steady steady = {.half_width = INFINITY};
    if (count < 2)
        return steady;
    steady.intervals = count - 1;
    steady.period = (times[count - 1] - times[0]) / steady.intervals;
    if (steady.intervals < STEADY_LEAST)
        return steady;
    VECTOR(double) averages = {0};
    for (uint32_t i = 0; i + FIVE < count; i += FIVE)
        VECTOR_PUSH(&averages, (times[i + FIVE] - times[i]) / FIVE);
    uint32_t cut = steady_cut(averages.at, averages.count), left = averages.count - cut;
    steady.found = 2 * cut <= averages.count;
    if (steady.found) {
        struct estimate estimate = {0};
        double means[2 * BATCHES] = {0};
        uint32_t size = left / BATCHES ? left / BATCHES : 1;
        steady.batches = left / size;
        steady.warm_up = FIVE * (averages.count - steady.batches * size);
        for (uint32_t b = 0; b < steady.batches; b++) {
            uint32_t first = steady.warm_up + b * size * FIVE;
            means[b] = (times[first + size * FIVE] - times[first]) / (size * FIVE);
            estimate_add(&estimate, means[b]);
        }
        steady.found = !steady_drifts(means, steady.batches);
        if (steady.found) {
            steady.period = estimate.mean;
            steady.half_width = estimate_half_width(&estimate);
        }
    }
    VECTOR_FREE(&averages);
    return steady;
}
