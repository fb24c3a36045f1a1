#include "study/wanted.h"

struct scenario_options wanted_scenario(const struct partita_options *options)
{
    return (struct scenario_options){.workload = options->workload,
                                     .topology = options->topology,
                                     .sets = options->sets,
                                     .set_count = options->set_count,
                                     .data_root = partita_data_folder(),
                                     .seed = options->seed};
}

enum partita_status wanted_fit(const struct partita_options *options, const struct scenario *scenario,
                               FILE *err)
{
    if (!options->must_fit || scenario->plan.fits)
        return PARTITA_OK;
    fprintf(err, "error: memory does not fit, and --must-fit was given\n");
    return PARTITA_TOO_LARGE;
}
