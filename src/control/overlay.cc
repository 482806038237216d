#include "palier/control/overlay.h"

#include "control/records.h"
#include "control/stamp.h"
#include "control/state_file.h"
#include "palier/base/log.h"
#include "palier/config/config.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace palier::control {
namespace {

/// The clock may be set, so that an end comes sooner than was thought; and a full disk may have room again.
constexpr std::int64_t kLookAgainMs = 30'000;
constexpr std::size_t kMostListed = 20;

using Name = std::pair<std::string, std::string>;  // of a pool and its server; "": the pool itself

std::string name_text(const Name& name) {
    return name.second.empty() ? "pool " + name.first : fmt::format("server {}/{}", name.first, name.second);
}

bool has_server(const config::PoolConfig& pool, std::string_view name) {
    return std::ranges::find(pool.servers, name, &config::ServerConfig::name) != pool.servers.end();
}

/// What names nothing in `config`. A pool that says `only` is aside, as long as that server is.
std::vector<Name> names_aside(const Records& records, const config::Config& config) {
    std::vector<Name> aside;
    for (const auto& [name, record] : records) {
        const auto pool = std::ranges::find(config.pools, name, &config::PoolConfig::name);
        const bool known = pool != config.pools.end();
        const bool only_gone = known && record.only && !has_server(*pool, record.only->value);
        if (only_gone || (!known && !entries_of(record).empty())) aside.emplace_back(name, "");
        for (const auto& [server, entries] : record.servers) {
            if (!known || !has_server(*pool, server)) aside.emplace_back(name, server);
        }
    }
    return aside;
}

}  // namespace

struct Overlay::State {
    State(net::Loop& its_loop, std::string path, std::function<void()> when_changed)
        : loop(its_loop),
          file(std::move(path)),
          changed(std::move(when_changed)),
          timer(base::Timer::calling<&State::on_timer>(this)) {}

    [[nodiscard]] bool keeps() const { return !file.path().empty() && !let_go; }

    void load() {
        if (!keeps()) return;
        const auto text = file.read(kLongestState);
        if (text && !*text) {
            if (const std::string why = file.obstacle(); !why.empty())
                base::log_warning("state_file: {}; what operators change will not outlive palier", why);
            return;
        }
        auto read = text ? parse_records(**text) : std::unexpected(text.error());
        if (!read) return set_aside(read.error().message);
        file.tidy();
        records = std::move(*read);
        look({});  // nobody works under it yet
        tell_what_holds();
    }

    void set_aside(const std::string& why) {
        const auto aside = file.set_aside();
        base::log_warning("state_file {} cannot be used: {}; {}, and nothing of it holds", file.path(), why,
                          aside ? "it is now " + *aside
                                : fmt::format("it cannot be set aside either: {}", aside.error().message));
    }

    void tell_what_holds() const {
        std::size_t told = 0;
        const auto tell = [&told](const Name& name, const std::vector<Entry>& entries) {
            for (const Entry& entry : entries) {
                if (told++ < kMostListed)
                    base::log_info("{}: {} {}", name_text(name), entry.what, control::text_of(entry.stamp));
            }
        };
        for (const auto& [pool, record] : records) {
            tell({pool, ""}, entries_of(record));
            for (const auto& [server, entries] : record.servers)
                tell({pool, server}, entries_of(entries));
        }
        if (told > kMostListed) base::log_info("and {} more from {}", told - kMostListed, file.path());
    }

    void on_timer() {
        if (!unsaved.empty()) (void)save();
        if (look(ended)) changed();
    }

    /// Ends what is due; true if something was.
    bool look(const std::function<void(const Ended&)>& tell) {
        std::vector<Ended> due;
        end_due(records, wall_ms(), [&due](Ended one) { due.push_back(std::move(one)); });
        if (!due.empty()) (void)save();
        settle();
        for (const Ended& one : due) {
            base::log_info("{}: no longer {}: its time was up", name_text({one.pool, one.server}),
                           one.entry.what);
            if (tell) tell(one);
        }
        return !due.empty();
    }

    /// Makes decisions and the timer what the records say. Who keeps them elsewhere also tells when they end.
    void settle() {
        decisions = decisions_of(records);
        if (let_go) return;
        const auto next = next_end_ms(records);
        if (!next && unsaved.empty()) return base::TimerWheel::disarm(timer);
        const std::int64_t wait = next ? *next - wall_ms() : kLookAgainMs;
        loop.timers().arm(timer, loop.now_ms() + static_cast<std::uint64_t>(
                                                     std::clamp<std::int64_t>(wait, 0, kLookAgainMs)));
    }

    /// "", or why not.
    std::string save() {
        if (file.path().empty()) return "";
        if (let_go) return "another palier keeps the state by now";
        const std::string text = control::text_of(records);
        std::string why = text.size() > kLongestState
                              ? fmt::format("it would be longer than {} bytes", kLongestState)
                              : file.write(text);
        if (why != unsaved) {
            if (why.empty()) {
                base::log_info("state_file {} is kept again", file.path());
            } else {
                base::log_warning("state_file: {}; what operators changed would not outlive palier", why);
            }
        }
        return unsaved = std::move(why);
    }

    std::string after_change() {
        prune(records);
        std::string why = save();
        settle();
        return why;
    }

    net::Loop& loop;
    StateFile file;
    std::function<void()> changed;
    std::function<void(const Ended&)> ended;
    base::Timer timer;
    Records records;
    pool::Decisions decisions;  // what the records say
    std::set<Name> warned;      // of being aside
    std::string unsaved;        // why what was last to be written was not
    bool let_go = false;
};

Overlay::Overlay(net::Loop& loop, std::string file, std::function<void()> changed)
    : state_(std::make_unique<State>(loop, std::move(file), std::move(changed))) {}

Overlay::~Overlay() = default;

void Overlay::on_end(std::function<void(const Ended&)> ended) {
    state_->ended = std::move(ended);
}

void Overlay::load() {
    state_->load();
}

const std::string& Overlay::file() const {
    return state_->file.path();
}

void Overlay::check_against(const config::Config& config) {
    const auto names = names_aside(state_->records, config);
    const std::set<Name> now(names.begin(), names.end());
    for (const Name& name : now) {
        if (state_->warned.contains(name)) continue;
        base::log_warning("{} is not configured as it was: what operators decided about it is kept aside",
                          name_text(name));
    }
    state_->warned = now;
}

std::vector<std::pair<std::string, std::string>> Overlay::aside(const config::Config& config) const {
    return names_aside(state_->records, config);
}

const pool::Decisions& Overlay::decisions() const {
    return state_->decisions;
}

std::string Overlay::set_admin(const std::string& pool, const std::string& server, pool::Admin admin,
                               Stamp stamp) {
    auto& decided = state_->records[pool].servers[server].admin;
    if (admin == pool::Admin::enabled) {
        decided.reset();
    } else {
        decided = {admin, std::move(stamp)};
    }
    return state_->after_change();
}

std::string Overlay::set_weight(const std::string& pool, const std::string& server,
                                std::optional<std::uint32_t> weight, Stamp stamp) {
    auto& decided = state_->records[pool].servers[server].weight;
    decided.reset();
    if (weight) decided = {*weight, std::move(stamp)};
    return state_->after_change();
}

std::string Overlay::set_only(const std::string& pool, const std::string& server, Stamp stamp) {
    auto& decided = state_->records[pool].only;
    decided.reset();
    if (!server.empty()) decided = {server, std::move(stamp)};
    return state_->after_change();
}

std::string Overlay::set_maintenance(const std::string& pool, bool on, Stamp stamp) {
    auto& decided = state_->records[pool].maintenance;
    decided.reset();
    if (on) decided = {true, std::move(stamp)};
    return state_->after_change();
}

nlohmann::json Overlay::rollout(const std::string& pool) const {
    const auto found = state_->records.find(pool);
    return found == state_->records.end() ? nlohmann::json() : found->second.rollout;
}

std::string Overlay::set_rollout(const std::string& pool, const nlohmann::json& progress) {
    state_->records[pool].rollout = progress;
    return state_->after_change();
}

std::vector<Entry> Overlay::entries(const std::string& pool, const std::string& server) const {
    const auto found = state_->records.find(pool);
    if (found == state_->records.end()) return {};
    const auto its = found->second.servers.find(server);
    return its == found->second.servers.end() ? std::vector<Entry>{} : entries_of(its->second);
}

std::vector<Entry> Overlay::entries(const std::string& pool) const {
    const auto found = state_->records.find(pool);
    return found == state_->records.end() ? std::vector<Entry>{} : entries_of(found->second);
}

std::string Overlay::exported() const {
    return control::text_of(state_->records);
}

base::Result<void> Overlay::import(std::string_view text) {
    auto records = parse_records(text);
    if (!records) return std::unexpected(records.error());
    state_->records = std::move(*records);
    state_->settle();
    return {};
}

void Overlay::keep() {
    std::error_code unreadable;
    if (!state_->records.empty() || std::filesystem::exists(state_->file.path(), unreadable))
        (void)state_->save();
}

void Overlay::let_go() {
    state_->let_go = true;
    base::TimerWheel::disarm(state_->timer);
}

}  // namespace palier::control
