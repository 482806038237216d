#include "app/listening.h"

#include "palier/base/assert.h"
#include "palier/base/log.h"
#include "palier/net/listener.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace palier::app {
namespace {

std::string key_of(const config::ListenerConfig& listener, std::size_t place) {
    const base::SocketAddress& address = listener.addresses[place];
    if (address.port() != 0) return address.to_string();
    return fmt::format("{} of {}, {}", address.to_string(), listener.name, place);
}

bool has(std::span<const Listening::Row> rows, const std::string& key) {
    return std::ranges::find(rows, key, &Listening::Row::key) != rows.end();
}

bool any_address(const base::IpAddress& ip) {
    return ip == base::IpAddress() || ip == *base::IpAddress::parse("::");
}

/// One of them receives what is sent to the other.
bool overlap(const base::SocketAddress& a, const base::SocketAddress& b) {
    if (a.port() != b.port() || a.ip().is_v4() != b.ip().is_v4()) return false;
    return a.ip() == b.ip() || any_address(a.ip()) || any_address(b.ip());
}

/// The rows that `config` wants, without descriptors, their addresses as configured.
std::vector<Listening::Row> wanted_by(const config::Config& config) {
    std::vector<Listening::Row> wanted;
    for (const config::ListenerConfig& listener : config.listeners) {
        for (std::size_t place = 0; place < listener.addresses.size(); ++place)
            wanted.push_back({key_of(listener, place), listener.addresses[place], {}});
    }
    return wanted;
}

/// Of two that overlap it would be the kernel's choice who gets a connection; it minds only where there is no
/// SO_REUSEPORT, or one of them listens.
base::Result<void> check_apart(std::span<const Listening::Row> wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const base::SocketAddress& address = wanted[i].address;
        for (const Listening::Row& before : wanted.first(i)) {
            if (address.port() != 0 && overlap(before.address, address)) {
                return base::failure(fmt::format("listen on {}: Address already in use: {} is among ours too",
                                                 address.to_string(), before.address.to_string()));
            }
        }
    }
    return {};
}

proxy::ListenerFacts facts_of(const config::ListenerConfig& listener, std::size_t index, std::uint16_t port,
                              const std::shared_ptr<const tls::ServerContext>& context) {
    return {.index = index,
            .name = listener.name,
            .port = std::to_string(port),
            .scheme = listener.tls ? "https" : "http",
            .proxy_protocol = listener.proxy_protocol,
            .tls = context,
            .http2 = listener.http2,
            .hsts = listener.hsts.empty() ? "" : "Strict-Transport-Security: " + listener.hsts + "\r\n"};
}

}  // namespace

Listening::Plan::~Plan() {
    for (const int descriptor : fresh_)
        ::close(descriptor);
}

Listening::~Listening() {
    for (const int descriptor : own_)
        ::close(descriptor);
}

void Listening::adopt(std::string key, std::vector<int> descriptors) {
    if (descriptors.empty()) return;
    own_.insert(descriptors.begin(), descriptors.end());
    const base::SocketAddress address = net::bound_address(descriptors.front());
    rows_.push_back({std::move(key), address, std::move(descriptors)});
}

const Listening::Row* Listening::find(const std::string& key) const {
    const auto found = std::ranges::find(rows_, key, &Row::key);
    return found == rows_.end() ? nullptr : &*found;
}

/// A socket of ours that is about to go listens on `address` too, as 0.0.0.0:80 does on 127.0.0.1:80.
bool Listening::gives_way(const base::SocketAddress& address, std::span<const Row> wanted) const {
    return std::ranges::any_of(
        rows_, [&](const Row& row) { return overlap(row.address, address) && !has(wanted, row.key); });
}

/// Another process on this address would share its connections with us, because of SO_REUSEPORT.
base::Result<void> Listening::check_free(const Row& row, std::span<const Row> wanted) const {
    if (!row.descriptors.empty() || row.address.port() == 0 || gives_way(row.address, wanted)) return {};
    return net::check_free(row.address);
}

/// Connections come to a socket from the moment on in which it listens; that is left to commit(), after which nothing
/// fails.
base::Result<void> Listening::fill(Row& row, Plan& plan, std::span<const Row> wanted) const {
    if (auto free = check_free(row, wanted); !free) return free;
    while (row.descriptors.size() < workers_) {
        const auto descriptor = net::bind_to(row.address, true);
        if (!descriptor) return std::unexpected(descriptor.error());
        plan.fresh_.push_back(*descriptor);
        row.descriptors.push_back(*descriptor);
        row.address = net::bound_address(*descriptor);
    }
    return {};
}

base::Result<Listening::Plan> Listening::prepare(const config::Config& config) const {
    Plan plan;
    const std::vector<Row> wanted = wanted_by(config);
    if (auto apart = check_apart(wanted); !apart) return std::unexpected(apart.error());
    for (Row row : wanted) {
        if (const Row* known = find(row.key)) row = *known;
        if (const auto filled = fill(row, plan, wanted); !filled) return std::unexpected(filled.error());
        plan.rows_.push_back(std::move(row));
    }
    return plan;
}

base::Result<void> Listening::check(const config::Config& config) const {
    const std::vector<Row> wanted = wanted_by(config);
    if (auto apart = check_apart(wanted); !apart) return apart;
    for (const Row& row : wanted) {
        if (find(row.key) != nullptr) continue;
        if (auto free = check_free(row, wanted); !free) return free;
    }
    return {};
}

std::set<int> Listening::leaving(const config::Config& config) const {
    const std::vector<Row> wanted = wanted_by(config);
    std::set<int> descriptors;
    for (const Row& row : rows_) {
        if (!has(wanted, row.key)) descriptors.insert(row.descriptors.begin(), row.descriptors.end());
    }
    return descriptors;
}

void Listening::commit(Plan plan) {
    for (const Row& row : rows_) {
        if (has(plan.rows_, row.key)) continue;
        for (const int descriptor : row.descriptors) {
            if (own_.erase(descriptor) != 0) ::close(descriptor);
        }
    }
    for (const int descriptor : plan.fresh_) {
        if (const auto listening = net::start_listening(descriptor); !listening)
            base::log_error("{}: a worker gets no connections", listening.error().message);
    }
    own_.insert(plan.fresh_.begin(), plan.fresh_.end());
    plan.fresh_.clear();
    rows_ = std::move(plan.rows_);
}

Listening::WorkerLists Listening::hand_out(const config::Config& config, Contexts contexts) {
    WorkerLists lists(workers_);
    auto row = rows_.begin();
    for (std::size_t index = 0; index < config.listeners.size(); ++index) {
        const config::ListenerConfig& listener = config.listeners[index];
        for (std::size_t place = 0; place < listener.addresses.size(); ++place, ++row) {
            PALIER_ASSERT(row != rows_.end() && row->key == key_of(listener, place));
            const auto facts = facts_of(listener, index, row->address.port(), contexts[index]);
            for (std::size_t i = 0; i < row->descriptors.size(); ++i) {
                const int descriptor = row->descriptors[i];
                const bool fresh = own_.erase(descriptor) != 0;
                if (fresh && i == 0)
                    base::log_info("listener {} on {}", listener.name, row->address.to_string());
                lists[i % workers_].push_back({descriptor, fresh, facts});
            }
        }
    }
    return lists;
}

void Listening::forget() {
    rows_.clear();
}

}  // namespace palier::app
