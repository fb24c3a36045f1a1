#include "base/nearest.h"

#include <ctype.h>
#include <string.h>

enum { NEAREST_LONGEST = 96, NEAREST_BEGINNING = 3 };

unsigned nearest_distance(const char *a, const char *b)
{
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > NEAREST_LONGEST || columns > NEAREST_LONGEST)
        return (unsigned)(rows > columns ? rows : columns);
    unsigned cost[3][NEAREST_LONGEST + 1]; /* rows i-2, i-1, i of the table */
    for (size_t j = 0; j <= columns; j++)
        cost[0][j] = (unsigned)j;
    for (size_t i = 1; i <= rows; i++) {
        unsigned *now = cost[i % 3], *before = cost[(i + 2) % 3], *earlier = cost[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= columns; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            unsigned best = before[j - 1] + (x != y);
            if (before[j] + 1 < best)
                best = before[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) && earlier[j - 2] + 1 < best)
                best = earlier[j - 2] + 1;
            now[j] = best;
        }
    }
    return cost[rows % 3][columns];
}

const char *nearest_name(const char *text, const char *const *names, size_t count)
{
    const char *best = NULL;
    unsigned least = 0;
    for (size_t i = 0; i < count; i++) {
        if (!names[i])
            continue;
        size_t longer = strlen(text) > strlen(names[i]) ? strlen(text) : strlen(names[i]);
        unsigned distance = nearest_distance(text, names[i]);
        if (distance <= (longer + 2) / 3 && distance < longer && (!best || distance < least)) {
            best = names[i];
            least = distance;
        }
    }
    size_t length = strlen(text);
    for (size_t i = 0; i < count && !best && length >= NEAREST_BEGINNING; i++)
        if (names[i] && strncmp(text, names[i], length) == 0)
            best = names[i];
    return best;
}

void nearest_unknown(const char *what, const char *name, const char *const *known, size_t count, FILE *to)
{
    const char *nearest = nearest_name(name, known, count);
    fprintf(to, "error: there is no %s '%s'", what, name);
    if (nearest)
        fprintf(to, "; did you mean '%s'?", nearest);
    for (size_t i = 0; i < count && !nearest; i++)
        fprintf(to, "%s%s", i ? ", " : "; expected one of ", known[i]);
    fprintf(to, "\n");
}
