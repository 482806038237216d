#include "palier/pool/lease.h"

#include "palier/base/assert.h"
#include "palier/pool/outlier.h"
#include "palier/pool/worker_pool.h"

#include <string>
#include <utility>

namespace palier::pool {

const Server& Lease::server() const {
    return server_->server();
}

BackendConnection* Lease::reuse(BackendUser& user) {
    PALIER_ASSERT(server_ != nullptr && connection_ == nullptr);
    connection_ = server_->take_idle();
    if (connection_ != nullptr) connection_->user_ = &user;
    return connection_;
}

base::Result<BackendConnection*> Lease::connect(BackendUser& user) {
    PALIER_ASSERT(server_ != nullptr && connection_ == nullptr);
    BackendConnection& connection = server_->new_connection();
    connection_ = &connection;
    connection.user_ = &user;
    if (const auto started = connection.connect(); !started) {
        drop_connection();
        return std::unexpected(started.error());
    }
    return connection_;
}

void Lease::success() {
    if (std::exchange(reported_, true)) return;
    report_success(server_->pool().snapshot(), server(), on_trial(),
                   server_->pool().environment_.loop.now_ms());
}

void Lease::begin_tunnel() {
    count_answer();
    success();
    server_->begin_tunnel(*connection_);
}

void Lease::count_answer() const {
    WorkerCounters& counters = *server_->counters_;
    WorkerCounters::add<std::uint64_t>(counters.answers, 1);
    WorkerCounters::add(counters.response_us, server_->pool().environment_.loop.now_us() - leased_us_);
}

void Lease::answered(std::uint16_t status) {
    count_answer();
    if (config::holds(server_->pool().snapshot().config.outlier.statuses, status)) {
        failure("HTTP " + std::to_string(status));
    } else if (on_trial()) {
        success();
    } else {
        answered_well_ = true;
    }
}

void Lease::failure(std::string_view reason) {
    if (connection_ != nullptr && connection_->cut_off()) {
        give_up_trial();
        reported_ = true;  // we closed it
        return;
    }
    if (std::exchange(reported_, true)) return;
    WorkerCounters::add<std::uint64_t>(server_->counters_->failures, 1);
    report_failure(server_->pool().snapshot(), server(), on_trial(), reason,
                   server_->pool().environment_.loop.now_ms());
}

void Lease::give_up_trial() {
    if (on_trial() && !reported_) abandon_trial(server_->pool().snapshot(), server());
    trial_of_ms_ = 0;
}

bool Lease::on_trial() const {
    return trial_of_ms_ != 0 && server().state->ejected_until_ms.load() == trial_of_ms_;
}

void Lease::drop_connection() {
    if (connection_ != nullptr) server_->discard(*std::exchange(connection_, nullptr));
}

void Lease::release() {
    if (server_ == nullptr) return;
    if (connection_ != nullptr) server_->park(*std::exchange(connection_, nullptr));
    end();
}

void Lease::discard() {
    if (server_ == nullptr) return;
    drop_connection();
    end();
}

void Lease::end() {
    if (std::exchange(answered_well_, false)) success();
    give_up_trial();
    reported_ = false;
    WorkerServer& server = *std::exchange(server_, nullptr);
    server.pool().released(server, std::exchange(limited_, false));
}

}  // namespace palier::pool
