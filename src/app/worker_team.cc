#include "app/worker_team.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace palier::app {
namespace {

/// Of what several threads bring.
template <typename T>
struct Sum {
    std::mutex mutex;
    T value{};  // guarded by mutex
};

}  // namespace

void WorkerTeam::start(const std::shared_ptr<const proxy::Snapshot>& snapshot,
                       proxy::AccessLogWriter* log_writer, Listening::WorkerLists lists,
                       std::size_t clients) {
    const std::size_t share = std::max<std::size_t>(1, clients / lists.size());
    for (unsigned i = 0; i < lists.size(); ++i) {
        workers_.push_back(std::make_unique<Worker>(i, snapshot, log_writer, std::move(lists[i]), share,
                                                    [this] { mailbox_.post([this] { --running_; }); }));
    }
    running_ = workers_.size();
    for (auto& worker : workers_)
        worker->start();
}

void WorkerTeam::join() {
    for (auto& worker : workers_)
        worker->join();
    workers_.clear();
}

std::shared_ptr<void> WorkerTeam::barrier(Done done) {
    return {nullptr,
            [this, done = std::move(done)](std::nullptr_t) mutable { mailbox_.post(std::move(done)); }};
}

void WorkerTeam::publish(const std::shared_ptr<const proxy::Snapshot>& snapshot, Done done) {
    const auto held = barrier(std::move(done));
    for (auto& worker : workers_)
        worker->publish(snapshot, [held] {});
}

void WorkerTeam::publish(const std::shared_ptr<const proxy::Snapshot>& snapshot, Listening::WorkerLists lists,
                         Done done) {
    const auto held = barrier(std::move(done));
    for (std::size_t i = 0; i < workers_.size(); ++i)
        workers_[i]->publish(snapshot, std::move(lists[i]), [held] {});
}

void WorkerTeam::close_listeners(Done done) {
    const auto held = barrier(std::move(done));
    for (auto& worker : workers_)
        worker->close_listeners([held] {});
}

void WorkerTeam::server_down(const std::shared_ptr<pool::ServerState>& server, bool cut_off) {
    for (auto& worker : workers_)
        worker->server_down(server, cut_off);
}

void WorkerTeam::close_connections(const std::shared_ptr<pool::ServerState>& server, bool tunnels,
                                   Done done) {
    const auto held = barrier(std::move(done));
    for (auto& worker : workers_)
        worker->close_connections(server, tunnels, [held] {});
}

void WorkerTeam::ask_traffic(std::function<void(const control::Traffic&)> answer) {
    const auto sum = std::make_shared<Sum<control::Traffic>>();
    const auto held = barrier([sum, answer = std::move(answer)] { answer(sum->value); });
    for (auto& worker : workers_) {
        worker->report([sum, held](const control::Traffic& one) {
            const std::lock_guard lock(sum->mutex);
            sum->value.connections += one.connections;
            sum->value.exchanges += one.exchanges;
            sum->value.tunnels += one.tunnels;
            sum->value.spared += one.spared;
            sum->value.refused += one.refused;
        });
    }
}

void WorkerTeam::ask_connections(std::set<int> descriptors, std::function<void(std::uint64_t)> answer) {
    const auto sum = std::make_shared<Sum<std::uint64_t>>();
    const auto held = barrier([sum, answer = std::move(answer)] { answer(sum->value); });
    if (descriptors.empty()) return;
    for (auto& worker : workers_) {
        worker->report_listeners([sum, held, descriptors](const std::map<int, std::size_t>& of) {
            const std::lock_guard lock(sum->mutex);
            for (const auto& [descriptor, connections] : of) {
                if (descriptors.contains(descriptor)) sum->value += connections;
            }
        });
    }
}

void WorkerTeam::wind_down(bool on, Done done) {
    const auto held = barrier(std::move(done));
    for (auto& worker : workers_)
        worker->wind_down(on, [held] {});
}

std::size_t WorkerTeam::share_of(std::size_t clients) const {
    return std::max<std::size_t>(1, clients / std::max<std::size_t>(1, workers_.size()));
}

void WorkerTeam::limit_clients(std::size_t clients) {
    for (auto& worker : workers_)
        worker->set_max_connections(share_of(clients));
}

void WorkerTeam::log_to(proxy::AccessLogWriter* writer, Done done) {
    const auto held = barrier(std::move(done));
    for (auto& worker : workers_)
        worker->log_to(writer, [held] {});
}

void WorkerTeam::hand_over(std::chrono::milliseconds grace, Done done) {
    const auto held = barrier(std::move(done));
    for (auto& worker : workers_)
        worker->hand_over(grace, [held] {});
}

void WorkerTeam::relieve(Pressure pressure) {
    for (auto& worker : workers_)
        worker->relieve(pressure);
}

void WorkerTeam::stop(std::chrono::milliseconds grace) {
    for (auto& worker : workers_)
        worker->stop(grace);
}

}  // namespace palier::app
