#include "palier/control/estate.h"

#include "palier/pool/standing.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace palier::control {
namespace {

using nlohmann::json;

constexpr std::array kHealths{pool::Health::unprobed, pool::Health::unknown, pool::Health::up,
                              pool::Health::falling,  pool::Health::down,    pool::Health::rising};

json binary(std::string_view bytes) {
    return json::binary({bytes.begin(), bytes.end()});
}

std::string bytes_in(const json& estate, const char* key) {
    const auto found = estate.find(key);
    if (found == estate.end()) return {};
    const auto& bytes = found->get_binary();
    return {bytes.begin(), bytes.end()};
}

/// One of a later version that this one does not know says nothing.
std::optional<pool::Health> health_named(std::string_view text) {
    const auto found = std::ranges::find(kHealths, text, [](pool::Health one) { return pool::text_of(one); });
    return found == kHealths.end() ? std::nullopt : std::optional(*found);
}

json servers_of(const Estate& estate) {
    json servers = json::object();
    for (const auto& [name, standing] : estate.servers) {
        servers[name] = {{"health", pool::text_of(standing.health)},
                         {"since_ms", standing.since_ms},
                         {"slow_start_from_ms", standing.slow_start_from_ms}};
    }
    return servers;
}

json listeners_of(const Estate& estate) {
    json listeners = json::array();
    for (const Estate::Sockets& sockets : estate.listeners)
        listeners.push_back({{"key", sockets.key}, {"descriptors", sockets.descriptors.size()}});
    return listeners;
}

void read_servers(const json& servers, Estate& estate) {
    for (const auto& [name, from] : servers.items()) {
        const auto health = health_named(from.at("health").get<std::string>());
        if (!health) continue;
        estate.servers[name] = {.health = *health,
                                .since_ms = from.value("since_ms", std::uint64_t{0}),
                                .slow_start_from_ms = from.value("slow_start_from_ms", std::uint64_t{0})};
    }
}

/// The descriptors that came, one after the other.
class Row {
  public:
    explicit Row(std::span<const int> descriptors) : left_(descriptors) {}

    /// False when there are not as many.
    [[nodiscard]] bool take(std::size_t count, std::vector<int>& to) {
        if (count > left_.size()) return false;
        to.assign(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(count));
        left_ = left_.subspan(count);
        return true;
    }
    [[nodiscard]] bool take_if(bool wanted, int& to) {
        std::vector<int> one;
        if (!wanted) return true;
        if (!take(1, one)) return false;
        to = one.front();
        return true;
    }
    [[nodiscard]] bool empty() const { return left_.empty(); }

  private:
    std::span<const int> left_;
};

/// False when they are more or fewer than `from` says.
bool read_descriptors(const json& from, std::span<const int> descriptors, Estate& estate) {
    Row row(descriptors);
    if (!row.take_if(from.value("has_admin", false), estate.admin)) return false;
    if (!row.take_if(from.value("has_forwarder", false), estate.forwarder)) return false;
    if (!row.take(from.value("predecessors", std::size_t{0}), estate.predecessors)) return false;
    for (const json& listener : from.value("listeners", json::array())) {
        Estate::Sockets sockets{listener.at("key").get<std::string>(), {}};
        if (!row.take(listener.at("descriptors").get<std::size_t>(), sockets.descriptors)) return false;
        estate.listeners.push_back(std::move(sockets));
    }
    return row.empty();
}

}  // namespace

std::string Estate::encoded() const {
    const json estate{{"version", version},
                      {"generation", generation},
                      {"ticket_keys", binary(ticket_keys)},
                      {"overlay", binary(overlay)},
                      {"servers", servers_of(*this)},
                      {"held_by_passive", held_by_passive},
                      {"listeners", listeners_of(*this)},
                      {"admin_address", admin_address},
                      {"has_admin", admin >= 0},
                      {"has_forwarder", forwarder >= 0},
                      {"predecessors", predecessors.size()}};
    std::string bytes;
    json::to_cbor(estate, bytes);
    return bytes;
}

std::vector<int> Estate::descriptors() const {
    std::vector<int> all;
    if (admin >= 0) all.push_back(admin);
    if (forwarder >= 0) all.push_back(forwarder);
    all.insert(all.end(), predecessors.begin(), predecessors.end());
    for (const Sockets& sockets : listeners)
        all.insert(all.end(), sockets.descriptors.begin(), sockets.descriptors.end());
    return all;
}

base::Result<Estate> Estate::decoded(std::string_view bytes, std::span<const int> descriptors) {
    try {
        const json from = json::from_cbor(bytes);
        Estate estate;
        estate.version = from.at("version").get<std::string>();
        estate.generation = from.value("generation", std::uint64_t{0});
        estate.ticket_keys = bytes_in(from, "ticket_keys");
        estate.overlay = bytes_in(from, "overlay");
        read_servers(from.value("servers", json::object()), estate);
        estate.held_by_passive = from.value("held_by_passive", std::set<std::string>{});
        estate.admin_address = from.value("admin_address", std::string{});
        if (!read_descriptors(from, descriptors, estate))
            return base::failure(
                fmt::format("{} descriptors came, which is not what was announced", descriptors.size()));
        return estate;
    } catch (const json::exception& error) {
        return base::failure(fmt::format("what it handed over cannot be read: {}", error.what()));
    }
}

void note_standing(const proxy::Snapshot& snapshot, Estate& estate) {
    for (const auto& pool : snapshot.pools) {
        if (pool::held_by_passive(*pool)) estate.held_by_passive.insert(pool->state->name);
        for (const pool::Server& server : pool->servers) {
            estate.servers[server.state->name] = {
                .health = server.state->health.load(),
                .since_ms = server.state->health_since_ms.load(),
                .slow_start_from_ms = server.state->slow_start_from_ms.load()};
        }
    }
}

void restore_standing(Estate& estate, const proxy::Snapshot& snapshot) {
    for (const auto& pool : snapshot.pools) {
        if (estate.held_by_passive.erase(pool->state->name) != 0)
            pool->state->held_by_passive.store(pool->era);
        for (const pool::Server& server : pool->servers) {
            const auto former = estate.servers.extract(server.state->name);
            if (former.empty()) continue;
            server.state->former_health.store(former.mapped().health);
            server.state->health_since_ms.store(former.mapped().since_ms);
            server.state->slow_start_from_ms.store(former.mapped().slow_start_from_ms);
        }
    }
}

}  // namespace palier::control
