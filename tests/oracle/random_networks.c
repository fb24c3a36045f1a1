/* random_networks [COUNT [FIRST]]: local repair = full solve = progressive filling from the definition, the
 * max-min property, and conservation of bytes, on seeded random networks (slow_network.h). Two processes
 * share them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../unit/engine/slow_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 2, LINKS = 12, FLOWS = 20 };

static unsigned long long first_case, last_case;

/* Strides of eight cases: every process gets networks with ties and without, and each way to solve. */
static void random_networks_agree(void **state)
{
    static struct slow slow;
    unsigned long long process = *(const unsigned *)*state;
    for (unsigned long long c = first_case; c < last_case; c++) {
        if (c / 8 % PROCESSES != process)
            continue;
        slow_random_case(&slow, c, LINKS, FLOWS);
        slow_run(&slow, SLOW_ALL_CHECKS);
    }
}

static int check_share(unsigned process)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(random_networks_agree, &process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int count, char **arguments)
{
    first_case = count > 2 ? strtoull(arguments[2], NULL, 10) : 1000000;
    last_case = first_case + (count > 1 ? strtoull(arguments[1], NULL, 10) : 50000);
    bool failed = false;
    for (unsigned process = 0; process < PROCESSES; process++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            exit(check_share(process) ? 1 : 0);
        failed |= child < 0;
    }
    for (int status; wait(&status) > 0;)
        failed |= status != 0;
    printf("%llu random networks: %s\n", last_case - first_case, failed ? "failed" : "passed");
    return failed ? 1 : 0;
}
