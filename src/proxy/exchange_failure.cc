// Exchange: what goes wrong at a backend, and whether another server may try.
#include "palier/base/log.h"
#include "palier/proxy/exchange.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>

namespace palier::proxy {
namespace {

struct Outcome {
    std::uint16_t status;
    Termination reason;
};

constexpr std::uint64_t kQuietMs = 10'000;  // between two complaints about one server

/// A server that cannot be reached may never be ejected, being the only one: the log says why all the same.
void complain(pool::ServerState& server, std::string_view detail, std::uint64_t now_ms) {
    std::uint64_t last = server.complained_ms.load(std::memory_order_relaxed);
    if (last != 0 && now_ms < last + kQuietMs) return;
    if (!server.complained_ms.compare_exchange_strong(last, now_ms, std::memory_order_relaxed)) return;
    base::log_warning("server {}: no connection: {}", server.name, detail);
}

}  // namespace

void Exchange::backend_failed(Fault fault, std::string_view detail) {
    const bool stale = fault == Fault::reset && lease_.connection() != nullptr &&
                       lease_.connection()->reused() && !lease_.connection()->cut_off() &&
                       lease_.connection()->in().empty() && informational_ == 0;
    if (stale && !head_sent_ && held_whole_ && http::is_idempotent(method_)) {
        // Its server closed it while it was idle, which is nobody's failure: a fresh one to the same server.
        lease_.drop_connection();
        request_sent_ = 0;
        request_broken_ = false;
        start_connecting();
        return;
    }
    if (fault == Fault::connect || fault == Fault::connect_timeout) {
        lease_.server().state->unreachable.store(true, std::memory_order_relaxed);
        complain(*lease_.server().state, detail, core_.loop.now_ms());
    } else if (fault != Fault::status) {
        base::log_debug("server {}: {}", lease_.server().state->name, detail);
    }
    if (fault != Fault::status) lease_.failure(detail);  // of a status Lease::answered() has judged
    if (may_retry(fault, 0) && retry()) return;
    const Outcome outcome = [fault]() -> Outcome {
        switch (fault) {
            case Fault::connect:
                return {502, Termination::connect_failed};
            case Fault::connect_timeout:
                return {504, Termination::connect_timeout};
            case Fault::timeout:
                return {504, Termination::backend_timeout};
            case Fault::bad_response:
                return {502, Termination::backend_bad_response};
            case Fault::cut:
                return {502, Termination::backend_cut};
            case Fault::reset:
            case Fault::status:
                break;
        }
        return {502, Termination::backend_reset};
    }();
    answer_error(outcome.status, outcome.reason);
}

/// Safe only while the client has got nothing, all of the request that was consumed is still here, and either
/// it may be done twice or the server cannot have seen any of it (RFC 9110 section 9.2.2).
bool Exchange::may_retry(Fault fault, std::uint16_t status) const {
    if (head_sent_ || !held_whole_ || pool_ == nullptr) return false;
    const config::PoolConfig& pool = pool_->snapshot().config;
    if (tries_ > pool.retries) return false;
    const bool unseen = request_sent_ == 0;
    if (!unseen && !http::is_idempotent(method_)) return false;
    switch (fault) {
        case Fault::connect:
        case Fault::connect_timeout:
            return pool.retry_on.connect;
        case Fault::reset:
            return pool.retry_on.reset;
        case Fault::timeout:
            return pool.retry_on.timeout;
        case Fault::status:
            return (status == 0 || (status == 502 && pool.retry_on.status_502) ||
                    (status == 503 && pool.retry_on.status_503) ||
                    (status == 504 && pool.retry_on.status_504)) &&
                   pool_->has_other(lease_.server(), tried_);
        case Fault::bad_response:
        case Fault::cut:
            return false;
    }
    return false;
}

/// Starts over with a server that was not tried; false when there is none.
bool Exchange::retry() {
    tried_.push_back(lease_.server().state.get());
    lease_.discard();
    request_sent_ = 0;
    request_broken_ = false;
    head_seen_ = 0;
    informational_ = 0;
    if (pool_->pick(tried_, lease_) != pool::Pick::leased) return false;
    ++tries_;
    last_server_ = lease_.server().state.get();
    picked_under_ = core_.snapshot;
    use_connection();
    return true;
}

}  // namespace palier::proxy
