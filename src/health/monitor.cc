#include "palier/health/monitor.h"

#include "health/watched_server.h"

#include <algorithm>
#include <map>
#include <random>
#include <unordered_map>
#include <utility>

namespace palier::health {
namespace {

constexpr std::size_t kScratch = 64 * 1024;
// First probes start at once, but not all in one instant.
constexpr std::size_t kFirstPerMs = 2;
constexpr std::uint64_t kFirstWithinMs = 1'000;

void leave_unprobed(const pool::PoolSnapshot& pool, const pool::Server& server) {
    pool::ServerState& state = *server.state;
    state.used_unprobed.store(server.admin != pool::Admin::disabled);
    if (state.health.exchange(pool::Health::unprobed) == pool::Health::unprobed) return;
    if (state.held_down.exchange(false)) pool.state->changed();
}

/// A disabled server is as it was before its first result.
void leave_unasked(const pool::PoolSnapshot& pool, pool::ServerState& state, std::uint64_t now_ms) {
    state.used_unprobed.store(false);
    if (state.health.exchange(pool::Health::unknown) != pool::Health::unknown)
        state.health_since_ms.store(now_ms);
    if (!state.held_down.exchange(true)) pool.state->changed();
}

}  // namespace

struct Monitor::State {
    using Servers = std::unordered_map<const pool::ServerState*, std::unique_ptr<WatchedServer>>;

    State(net::Loop& on, Down&& down)
        : loop(on),
          scratch(new char[kScratch]),
          tls(buffers),
          shared{{on, tls, {scratch.get(), kScratch}},
                 std::move(down),
                 std::minstd_rand(std::random_device{}())} {}

    void drop(Servers::iterator server);
    void drop_all_but(std::uint64_t round);
    void assign_places();
    void hand_over(std::span<WatchedServer* const> fresh) const;
    static void begin(std::span<WatchedServer* const> fresh);

    net::Loop& loop;
    std::unique_ptr<char[]> scratch;
    base::BufferCache buffers;
    tls::Workspace tls;
    WatchShared shared;
    Servers servers;
    std::vector<WatchedServer*> in_order;  // as the configuration has them
    std::uint64_t round = 0;               // counts the calls of watch()
};

/// Events of this turn may still name its probe.
void Monitor::State::drop(Servers::iterator server) {
    server->second->drop();
    loop.defer_delete(std::move(server->second));
}

void Monitor::State::drop_all_but(std::uint64_t named_in) {
    for (auto server = servers.begin(); server != servers.end();) {
        if (server->second->named_in == named_in) {
            ++server;
        } else {
            drop(server);
            server = servers.erase(server);
        }
    }
}

/// A name that leads to other addresses only, as that of a container that was replaced, would leave nobody to use
/// until these have answered their first probes.
void Monitor::State::hand_over(std::span<WatchedServer* const> fresh) const {
    if (fresh.empty()) return;
    std::map<std::pair<std::string_view, std::string_view>, bool> stays;  // of the servers in use until now
    for (const auto& [state, server] : servers) {
        if (server->health() == pool::Health::unknown || server->held_down()) continue;
        bool& stays_in_use = stays[server->configured_name()];
        stays_in_use = stays_in_use || server->named_in == round;
    }
    for (WatchedServer* server : fresh) {
        const auto before = stays.find(server->configured_name());
        const bool replaces = before != stays.end() && !before->second;
        if (replaces && server->health() == pool::Health::unknown) server->succeed_one_in_use();
    }
}

/// Those that are probed at one address take turns.
void Monitor::State::assign_places() {
    std::unordered_map<std::string, std::vector<WatchedServer*>> by_address;
    for (WatchedServer* server : in_order)
        by_address[server->probe_address().to_string()].push_back(server);
    for (const auto& [address, sharing] : by_address) {
        const double chance = sharing.front()->chance();
        for (std::size_t place = 0; place < sharing.size(); ++place)
            sharing[place]->rhythm().take_place(place, sharing.size(), chance);
    }
}

void Monitor::State::begin(std::span<WatchedServer* const> fresh) {
    const auto within = std::min<std::uint64_t>(fresh.size() / kFirstPerMs, kFirstWithinMs);
    for (std::size_t i = 0; i < fresh.size(); ++i)
        fresh[i]->begin(i * within / fresh.size());
}

Monitor::Monitor(net::Loop& loop, Down down) : state_(std::make_unique<State>(loop, std::move(down))) {}

Monitor::~Monitor() {
    ++state_->round;
    state_->drop_all_but(state_->round);
}

void Monitor::watch(std::span<const std::shared_ptr<const pool::PoolSnapshot>> pools) {
    State& state = *state_;
    ++state.round;
    state.in_order.clear();
    std::vector<WatchedServer*> fresh;
    for (const auto& pool : pools) {
        for (std::size_t index = 0; index < pool->servers.size(); ++index) {
            pool::ServerState& server = *pool->servers[index].state;
            if (!pool->config.health) {
                leave_unprobed(*pool, pool->servers[index]);
                continue;
            }
            if (pool->servers[index].admin == pool::Admin::disabled) {
                leave_unasked(*pool, server, state.loop.now_ms());
                continue;
            }
            auto& watched = state.servers[&server];
            const bool known = watched != nullptr;
            if (!known) {
                watched = std::make_unique<WatchedServer>(state.shared, pool, index,
                                                          server.used_unprobed.exchange(false));
            }
            if (!known || watched->renew(pool, index)) fresh.push_back(watched.get());
            watched->named_in = state.round;
            state.in_order.push_back(watched.get());
        }
    }
    state.hand_over(fresh);
    state.drop_all_but(state.round);
    state.assign_places();
    State::begin(fresh);
}

void Monitor::doubt(const pool::ServerState& server) {
    const auto found = state_->servers.find(&server);
    if (found != state_->servers.end()) found->second->doubt();
}

bool Monitor::settled() const {
    return std::ranges::none_of(state_->in_order, [](const WatchedServer* server) {
        return server->health() == pool::Health::unknown && server->held_down();
    });
}

std::string_view Monitor::reason(const pool::ServerState& server) const {
    const auto found = state_->servers.find(&server);
    return found == state_->servers.end() ? std::string_view{} : found->second->reason();
}

}  // namespace palier::health
