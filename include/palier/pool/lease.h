// Lease: an exchange's hold on a server, and on a connection to it.
//
// It counts as in flight from WorkerPool::pick() until it ends. Ending it gives the connection back to the
// pool (release) or closes it (discard); a destroyed lease discards. A trial that ends without success() or
// failure() is given up, so that another request may take it.
//
// Thread: worker only. Owner: the exchange.
#pragma once

#include "palier/pool/backend_connection.h"
#include "palier/pool/pool_snapshot.h"

#include <cstdint>
#include <string_view>

namespace palier::pool {

class WorkerServer;

class Lease {
  public:
    Lease() = default;
    ~Lease() { discard(); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    [[nodiscard]] bool held() const { return server_ != nullptr; }
    [[nodiscard]] const Server& server() const;
    [[nodiscard]] BackendConnection* connection() const { return connection_; }

    /// An idle connection, or nullptr if there is none.
    BackendConnection* reuse(BackendUser& user);
    /// A new connection that has begun to connect. A failure is the server's.
    [[nodiscard]] base::Result<BackendConnection*> connect(BackendUser& user);

    /// The server did well, or badly: see outlier.h. The first verdict of a lease counts.
    void success();
    /// It answered with this status. Where the pool's rules take that for a failure, it is one. Otherwise the
    /// server did well if no failure() follows, but for a trial: its success does not wait for a long body.
    void answered(std::uint16_t status);
    void failure(std::string_view reason);
    /// It answered with a 101: the connection is a tunnel from here on, which is a success too.
    void begin_tunnel();

    /// This exchange may take long to show anything of the server: another is to be the trial, if this was
    /// one.
    void give_up_trial();

    /// Closes the connection but keeps the server, for another connection to it.
    void drop_connection();
    /// The exchange ended cleanly: the connection may serve another.
    void release();
    void discard();

  private:
    friend class WorkerPool;

    /// Another may have ended that ejection since, and a new one begun.
    [[nodiscard]] bool on_trial() const;
    void count_answer() const;
    void end();

    WorkerServer* server_ = nullptr;
    BackendConnection* connection_ = nullptr;
    std::uint64_t leased_us_ = 0;    // monotonic, as of the turn of the loop
    std::uint64_t trial_of_ms_ = 0;  // it is the trial of the ejection until then; 0: it is none
    bool limited_ = false;           // it counts in ServerState::limited
    bool reported_ = false;
    bool answered_well_ = false;
};

}  // namespace palier::pool
