// WorkerCore: what all client connections and exchanges of one worker share.
// Thread: worker only. Owner: app::Worker. Ends: after the last connection.
#pragma once

#include "palier/base/buffer.h"
#include "palier/base/clock.h"
#include "palier/base/intrusive_list.h"
#include "palier/base/log.h"
#include "palier/http/h1_parser.h"
#include "palier/http/h2_session.h"
#include "palier/net/loop.h"
#include "palier/net/pipe.h"
#include "palier/pool/worker_pool.h"
#include "palier/proxy/access_log.h"
#include "palier/proxy/scratch.h"
#include "palier/proxy/snapshot.h"
#include "palier/tls/transport.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace palier::proxy {

class ClientConnection;
class Exchange;

/// Gathers the output of a whole turn, so that it leaves in one piece.
class LateOutput : public base::ListLink<LateOutput> {
  public:
    virtual void on_turn_end() = 0;

  protected:
    ~LateOutput() = default;
};

/// What one worker saw of HTTP/2's abuse. Thread: written by the worker, read by any.
struct H2Stats {
    std::array<std::atomic<std::uint64_t>, http::kH2Floods> floods{};
};

class WorkerCore {
  public:
    WorkerCore(net::Loop& event_loop, unsigned worker, std::shared_ptr<const Snapshot> first,
               AccessLogWriter* log_writer);
    ~WorkerCore();
    WorkerCore(const WorkerCore&) = delete;
    WorkerCore& operator=(const WorkerCore&) = delete;

    /// From now on exchanges begin under `next`.
    void publish(std::shared_ptr<const Snapshot> next);

    [[nodiscard]] std::unique_ptr<Exchange> take_exchange();
    /// Gives an exchange back once the stack has unwound.
    void retire(std::unique_ptr<Exchange> exchange);
    /// At the end of a turn: late outputs are sent, and what was retired may be taken again.
    void end_turn();
    void recycle_retired();
    /// Frees what is only kept for reuse.
    void drop_spares();

    /// An empty pipe; null when there is none to be had.
    [[nodiscard]] std::unique_ptr<net::Pipe> take_pipe();
    /// Keeps it for another if it is empty. Null is welcome.
    void give_pipe(std::unique_ptr<net::Pipe> pipe);

    /// The date and time of this turn.
    [[nodiscard]] base::WallClock& clock() {
        wall_clock_.update(loop.now_ms());
        return wall_clock_;
    }

    /// 32 hexadecimal digits.
    void make_request_id(char* out);

    net::Loop& loop;
    base::BufferCache buffers;
    Scratch scratch;
    tls::Workspace tls_workspace{buffers};
    http::H2Workspace h2_workspace;
    base::Buffer head_out;     // a head on its way out; empty between calls
    base::Buffer frames_out;   // HTTP/2 frames on their way out; empty between calls
    std::string path_storage;  // of http::canonical_path()
    http::RequestParser request_parser;
    http::ResponseParser response_parser;
    SnapshotPin snapshot;  // the current one
    pool::PoolSet pools;
    AccessLog access_log;
    base::IntrusiveList<LateOutput> late_outputs;  // who has output to gather at the end of the turn
    H2Stats h2_stats;
    base::RateLimitedLog flood_log{1'000};
    base::IntrusiveList<ClientConnection> connections;
    std::size_t connection_count = 0;
    base::RateLimitedLog shortage{10'000};  // of descriptors or ports, when connecting
    bool leaving = false;                   // clients are told to go
    bool stopping = false;                  // … and none may stay idle
    bool short_of_memory = false;           // requests are answered with 503
    std::uint64_t refused = 0;              // requests, because of that
    std::size_t exchanges = 0;              // under way
    std::size_t tunnels = 0;                // among them

  private:
    base::WallClock wall_clock_;
    std::mt19937_64 random_;
    std::vector<std::unique_ptr<net::Pipe>> spare_pipes_;
    std::vector<std::unique_ptr<Exchange>> free_;
    std::vector<std::unique_ptr<Exchange>> retired_;
};

}  // namespace palier::proxy
