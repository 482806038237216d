#include "palier/proxy/worker_core.h"

#include "palier/proxy/client_connection.h"
#include "palier/proxy/exchange.h"

namespace palier::proxy {
namespace {

constexpr std::size_t kFreeExchanges = 1024;  // kept for reuse
constexpr std::size_t kSparePipes = 16;

http::HeadLimits head_limits(const config::Config& config) {
    return {static_cast<std::size_t>(config.limits.header_size), config.limits.headers};
}

std::uint64_t random_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

WorkerCore::WorkerCore(net::Loop& event_loop, unsigned worker, std::shared_ptr<const Snapshot> first,
                       AccessLogWriter* log_writer)
    : loop(event_loop),
      request_parser(head_limits(*first->config)),
      response_parser(head_limits(*first->config)),
      pools(pool::PoolEnvironment{event_loop, buffers, tls_workspace, worker, 0, random_seed()}),
      access_log(log_writer, first->config->log.format),
      random_(random_seed()) {
    publish(std::move(first));
    free_.reserve(kFreeExchanges);
}

WorkerCore::~WorkerCore() {
    recycle_retired();
}

void WorkerCore::publish(std::shared_ptr<const Snapshot> next) {
    const config::Config& config = *next->config;
    request_parser.set_limits(head_limits(config));
    response_parser.set_limits(head_limits(config));
    access_log.set_format(config.log.format);
    pools.update(next->pools, static_cast<std::uint64_t>(config.timeouts.server_idle.count()));
    snapshot = SnapshotPin(std::move(next));
}

std::unique_ptr<Exchange> WorkerCore::take_exchange() {
    ++exchanges;
    if (free_.empty()) return std::make_unique<Exchange>(*this);
    auto exchange = std::move(free_.back());
    free_.pop_back();
    return exchange;
}

void WorkerCore::retire(std::unique_ptr<Exchange> exchange) {
    --exchanges;
    retired_.push_back(std::move(exchange));
}

void WorkerCore::end_turn() {
    while (LateOutput* late = late_outputs.pop_front())
        late->on_turn_end();
    recycle_retired();
    pools.sweep();
}

void WorkerCore::recycle_retired() {
    for (auto& exchange : retired_) {
        if (free_.size() == kFreeExchanges) break;
        exchange->recycle();
        free_.push_back(std::move(exchange));
    }
    retired_.clear();
}

void WorkerCore::drop_spares() {
    free_.clear();
    spare_pipes_.clear();
    buffers.drop_spares();
}

std::unique_ptr<net::Pipe> WorkerCore::take_pipe() {
    if (spare_pipes_.empty()) return net::Pipe::open();
    auto pipe = std::move(spare_pipes_.back());
    spare_pipes_.pop_back();
    return pipe;
}

void WorkerCore::give_pipe(std::unique_ptr<net::Pipe> pipe) {
    if (pipe && pipe->empty() && spare_pipes_.size() < kSparePipes) spare_pipes_.push_back(std::move(pipe));
}

void WorkerCore::make_request_id(char* out) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    for (int half = 0; half < 2; ++half) {
        std::uint64_t bits = random_();
        for (int digit = 0; digit < 16; ++digit, bits >>= 4)
            out[digit] = kDigits[bits & 15];
        out += 16;
    }
}

}  // namespace palier::proxy
