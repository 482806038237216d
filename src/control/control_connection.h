// ControlConnection: one client of the control socket, request after request.
//
//     waits for  deadline                        ends with
//     request    idle_ms, without any byte       a line's first byte
//     line       line_ms from its first byte     its end: its command runs; else a refusal
//     command    none: it has its own            the reply's end
//     taking     write_ms without progress       the client has all that there was for it
//     leaving    two seconds                     after a refusal: the client's end; what it still says is dropped
//
// A command is started only once the client has taken all before it. A client that only sends no more (a half-closed one)
// gets its answers; one that is gone has its complete lines run all the same, up to the first that takes time.
//
// Thread: control. Owner: its ControlSocket. Ends: ControlSocket::forget hands it to the loop's deferred deletion.
#pragma once

#include "control/output_queue.h"
#include "palier/base/buffer.h"
#include "palier/base/timer_wheel.h"
#include "palier/control/command.h"
#include "palier/net/deferred.h"
#include "palier/net/socket.h"

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string_view>

namespace palier::control {

class ConnectionReply;
class ControlSocket;

class ControlConnection final : public net::Deferred, private net::Watcher, private net::Task {
  public:
    using Place = std::list<std::unique_ptr<ControlConnection>>::iterator;

    ControlConnection(ControlSocket& owner, Peer peer) : owner_(owner), peer_(peer) {}
    ~ControlConnection() override;

    /// Begins, at `place` of its owner's list; false: the descriptor could not be watched and is closed.
    [[nodiscard]] bool start(int descriptor, Place place);
    [[nodiscard]] Place place() const { return place_; }
    /// Gives the client what it takes at once, and ends; the command that runs is told.
    void close();

    // What its reply has to say.
    void send(std::string_view line, bool last, OwnedDescriptors descriptors);
    void reply_ended();

  private:
    enum class Waiting : std::uint8_t { request, line, command, taking, leaving };
    enum class Verdict : std::uint8_t { go_on, wait, finish };

    void on_events(std::uint32_t ready) override;
    void on_again() override;
    void on_timer();

    void advance();
    [[nodiscard]] Verdict step();
    [[nodiscard]] Verdict give_out();
    [[nodiscard]] Verdict take_line();
    [[nodiscard]] Verdict without_line();
    [[nodiscard]] Verdict read_more();
    [[nodiscard]] Verdict leave();
    void serve(std::string_view line);
    void refuse(std::string_view why);
    [[nodiscard]] bool client_gone();
    [[nodiscard]] Waiting waiting_now() const;
    void set_deadline();

    ControlSocket& owner_;
    Peer peer_;
    Place place_;
    net::Socket socket_;
    base::Buffer in_;
    std::size_t seen_ = 0;  // bytes of `in_` in which there is no end of a line
    OutputQueue out_;
    ConnectionReply* reply_ = nullptr;  // of the command that runs
    base::Timer timer_ = base::Timer::calling<&ControlConnection::on_timer>(this);
    Waiting waiting_ = Waiting::request;
    bool progressed_ = true;  // since the deadline was set
    bool hangup_ = false;     // the client sends no more, or is gone
    bool ended_ = false;      // all that it sent has been read
    bool gone_ = false;
    bool overrun_ = false;  // it has not taken what there was for it
    bool refused_ = false;
    std::size_t dropped_ = 0;  // bytes, while leaving
};

}  // namespace palier::control
