// simgrid FILE [OPTIM]: runs a case that `network CASE --describe` wrote, on SimGrid, as pure max-min
// sharing: no latencies, no TCP window, no protocol factors, no cross traffic. Flows are direct
// communications: those of time 0 started and awaited by one actor per host, later ones started by a timer,
// the next hop of a chain by a completion callback. That was the fastest of the ways that were tried. OPTIM:
// Lazy (the default) or Full, as SimGrid's network/optim.
#include <simgrid/kernel/Timer.hpp>
#include <simgrid/s4u.hpp>
#include <xbt/log.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/resource.h>
#include <time.h>

namespace sg = simgrid::s4u;

struct Flow {
    double start, bytes;
    unsigned from, to, hops;
    bool called_back;             // its completion comes to the callback, not to an actor
    sg::CommPtr under_way, ended; // a communication must outlive its completion callback
};

static std::vector<sg::Host *> hosts;
static std::vector<Flow> flows;
static double last_end;
static unsigned long completed;

static double seconds()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

static void start(Flow *flow)
{
    auto comm = sg::Comm::sendto_init(hosts[flow->from], hosts[flow->to]);
    comm->set_payload_size(static_cast<uint64_t>(flow->bytes));
    comm->set_data(flow);
    comm->start();
    flow->ended = std::move(flow->under_way);
    flow->under_way = std::move(comm);
}

// Each host's flows of time 0 are started and awaited by an actor of its own: SimGrid enters a communication
// in the list of the actor that started it, and walks that list from end to end when it ends.
static void send_all(unsigned host)
{
    std::vector<Flow *> own;
    for (auto &flow : flows) {
        if (flow.from != host || flow.called_back)
            continue;
        start(&flow);
        own.push_back(&flow);
    }
    for (auto *flow : own) {
        flow->under_way->wait();
        completed++;
    }
    last_end = sg::Engine::get_clock();
}

// The next hop of a chain goes one host on.
static void completion(const sg::Activity &activity)
{
    auto *flow = const_cast<sg::Activity &>(activity).get_data<Flow>();
    if (!flow->called_back)
        return;
    last_end = sg::Engine::get_clock();
    completed++;
    if (--flow->hops == 0)
        return;
    auto count = static_cast<unsigned>(hosts.size());
    flow->from = flow->to;
    flow->to = (flow->to + 1) % count;
    start(flow);
}

static void expect(bool good, const char *what)
{
    if (good)
        return;
    std::fprintf(stderr, "simgrid: %s\n", what);
    std::exit(2);
}

static void read_platform(std::FILE *file, sg::NetZone *zone)
{
    unsigned host_count, link_count, route_count;
    expect(std::fscanf(file, "hosts %u links %u", &host_count, &link_count) == 2, "no platform");
    std::vector<sg::Link *> links;
    for (unsigned h = 0; h < host_count; h++)
        hosts.push_back(zone->create_host("h" + std::to_string(h), 1e9)->seal());
    for (unsigned l = 0; l < link_count; l++) {
        double bandwidth;
        expect(std::fscanf(file, "%lf", &bandwidth) == 1, "no bandwidth");
        links.push_back(zone->create_link("l" + std::to_string(l), bandwidth)->set_latency(0)->seal());
    }
    expect(std::fscanf(file, " routes %u", &route_count) == 1, "no routes");
    for (unsigned r = 0; r < route_count; r++) {
        unsigned from, to, count;
        expect(std::fscanf(file, "%u %u %u", &from, &to, &count) == 3, "no route");
        std::vector<sg::LinkInRoute> route;
        for (unsigned i = 0; i < count; i++) {
            unsigned link;
            expect(std::fscanf(file, "%u", &link) == 1, "no link");
            route.emplace_back(links.at(link));
        }
        zone->add_route(hosts.at(from)->get_netpoint(), hosts.at(to)->get_netpoint(), nullptr, nullptr, route,
                        false);
    }
    zone->seal();
}

static void read_flows(std::FILE *file)
{
    unsigned count;
    expect(std::fscanf(file, " flows %u", &count) == 1, "no flows");
    flows.resize(count);
    for (auto &flow : flows)
        expect(std::fscanf(file, "%lf %lf %u %u %u", &flow.start, &flow.bytes, &flow.from, &flow.to,
                           &flow.hops) == 5,
               "no flow");
}

int main(int count, char **arguments)
{
    xbt_log_control_set("root.thresh:warning");
    sg::Engine engine(&count, arguments);
    expect(count >= 2, "usage: simgrid FILE [Lazy|Full]");
    for (const char *option : {"network/model:CM02", "network/TCP-gamma:0", "network/latency-factor:1",
                               "network/bandwidth-factor:1", "network/weight-S:0", "network/crosstraffic:0",
                               "network/loopback-lat:0"})
        sg::Engine::set_config(option);
    sg::Engine::set_config(std::string("network/optim:") + (count > 2 ? arguments[2] : "Lazy"));
    std::FILE *file = std::fopen(arguments[1], "r");
    expect(file, "cannot open the file");
    auto *zone = sg::create_full_zone("zone");
    read_platform(file, zone);
    read_flows(file);
    std::fclose(file);
    double begin = seconds();
    sg::Activity::on_completion_cb(completion);
    unsigned long expected = 0;
    for (auto &flow : flows) {
        expected += flow.hops;
        flow.called_back = flow.start > 0 || flow.hops > 1;
        if (flow.start > 0)
            simgrid::kernel::timer::Timer::set(flow.start, [&flow] { start(&flow); });
        else if (flow.hops > 1)
            start(&flow);
    }
    for (unsigned host = 0; host < hosts.size(); host++)
        sg::Actor::create("sender", hosts[host], [host] { send_all(host); });
    engine.run();
    double spent = seconds() - begin;
    expect(completed == expected, "not all flows completed");
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    std::printf("%.6f s CPU %.1f MB peak  makespan %.12g s, %lu flows\n", spent,
                static_cast<double>(usage.ru_maxrss) * 1024e-6, last_end, completed);
}
