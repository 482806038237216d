// Probe: asks one server how it is: connect, perhaps shake hands, perhaps a dialogue, verdict.
//
//   stage          | goes on when                | ends at once with a verdict when
//   idle           | start()                     |
//   connecting     | the socket can be written   | refused, unreachable; open is success for tcp
//   shaking_hands  | the socket moves            | the handshake fails; its end is success for tls
//   talking        | bytes come, room to send    | the dialogue is done; closed or reset too early
//
// One deadline spans all stages. What this machine lacks (descriptors, ports, memory) is no verdict. A server that
// fails is let go with a reset; one that is well is told goodbye, or stays connected where `keep_alive` asks for it.
// If such a connection proves closed before a byte of the answer, a fresh one is tried within the same deadline.
//
// Thread: control only. Owner: a watched server, which outlives the turn in which it cancelled the probe.
#pragma once

#include "palier/base/timer_wheel.h"
#include "palier/config/config.h"
#include "palier/health/dialogue.h"
#include "palier/net/loop.h"
#include "palier/tls/client_context.h"
#include "palier/tls/transport.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace palier::health {

/// What all probes of a thread share.
struct ProbeEnvironment {
    net::Loop& loop;
    tls::Workspace& tls;
    std::span<char> scratch;  // where answers are read to
};

struct ProbeTarget {
    base::SocketAddress address;
    std::string host;  // what HTTP calls it, unless the configuration says otherwise
    std::shared_ptr<const tls::ClientContext> tls;  // null: plain

    friend bool operator==(const ProbeTarget&, const ProbeTarget&) = default;
};

/// Each start() ends in one of these, perhaps before it returns. The next may be called once they have returned.
class ProbeUser {
  public:
    virtual void on_result(const Result& result) = 0;
    /// This machine could not ask: the server is not to blame.
    virtual void on_local_failure(std::string_view why) = 0;

  protected:
    ~ProbeUser() = default;
};

class Probe final : private net::Watcher, private net::Task {
  public:
    Probe(const ProbeEnvironment& environment, ProbeUser& user);
    ~Probe();
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    /// `target` and `config` must stay until the result or cancel(). Not while another run is under way.
    void start(const ProbeTarget& target, const config::HealthConfig& config);
    /// No result will come; a kept connection is closed.
    void cancel();

    [[nodiscard]] bool running() const { return stage_ != Stage::idle; }

  private:
    enum class Stage : std::uint8_t { idle, connecting, shaking_hands, talking };

    void on_events(std::uint32_t ready) override;
    void on_again() override;
    void on_deadline();

    void connect();
    void go_on_connecting(std::uint32_t ready);
    void go_on_shaking_hands();
    void open();
    void begin_dialogue();
    void go_on_talking();
    void send();
    void read();
    [[nodiscard]] Dialogue::Step take(std::string_view bytes);
    void on_end(const net::IoResult& end);
    void try_afresh();

    void conclude(bool said_goodbye);
    void fail(std::string reason);
    void give_up(std::string_view why);
    void end();
    [[nodiscard]] std::string late_words() const;
    [[nodiscard]] std::string broken_words(const net::IoResult& end) const;

    const ProbeEnvironment& environment_;
    ProbeUser& user_;
    tls::Transport transport_;
    base::Timer deadline_;
    const ProbeTarget* target_ = nullptr;  // both null while idle
    const config::HealthConfig* config_ = nullptr;
    std::unique_ptr<Dialogue> dialogue_;  // while talking
    std::string out_;                     // of the dialogue, what the socket did not take yet
    std::uint64_t connected_in_ = 0;      // the turn in which the socket was made
    Stage stage_ = Stage::idle;
    bool kept_ = false;      // the connection has carried a probe before
    bool answered_ = false;  // a byte has come in this run
};

}  // namespace palier::health
