// FrontConnection: one connection to a demo front, request after request.
//
//   head  → body → waiting → writing → head, or the end
//           reads  /slow's   the answer
//
// Thread: that of its loop. Owner: its Front. Ends: Front::forget hands it to the loop's deferred deletion.
#pragma once

#include "demo/answer.h"
#include "demo/request.h"
#include "palier/base/buffer.h"
#include "palier/base/timer_wheel.h"
#include "palier/demo/front.h"
#include "palier/http/body.h"
#include "palier/http/h1_parser.h"
#include "palier/net/deferred.h"
#include "palier/net/socket.h"

#include <cstdint>
#include <string_view>

namespace palier::demo {

class FrontConnection final : public net::Deferred, private net::Watcher {
  public:
    FrontConnection(Front& front, const base::SocketAddress& peer);

    /// Takes the descriptor and starts; false: it could not be watched.
    [[nodiscard]] bool start(int descriptor);
    void close() { socket_.close(); }
    /// The connection is cut, as by a process that dies.
    void reset() { socket_.close_with_reset(); }

  private:
    enum class State : std::uint8_t { head, body, waiting, writing };
    enum class Verdict : std::uint8_t { go_on, wait, finish };

    void on_events(std::uint32_t ready) override;
    void on_timer();
    void advance();

    [[nodiscard]] Verdict step();
    [[nodiscard]] Verdict read_head();
    [[nodiscard]] Verdict read_body();
    [[nodiscard]] Verdict write_answer();
    [[nodiscard]] Verdict read_more();
    /// Sends what `out_` holds; go_on once it is empty.
    [[nodiscard]] Verdict flush();

    void see(const http::RequestHead& head);
    void answer();
    void begin_writing();
    void refuse(std::uint16_t status);
    /// The next piece of a large answer.
    void fill();
    [[nodiscard]] Verdict end_exchange();
    void put_deadline_off();

    Front& front_;
    net::Socket socket_;
    base::Buffer in_;
    base::Buffer out_;
    base::Timer timer_ = base::Timer::calling<&FrontConnection::on_timer>(this);
    State state_ = State::head;
    std::size_t seen_ = 0;  // bytes of `in_` that the parser has looked at
    http::RequestParser parser_{http::HeadLimits{}};
    http::BodyReader body_;
    SeenRequest request_;
    Answer answer_;
    std::uint64_t filler_left_ = 0;
    bool keep_alive_ = true;
};

}  // namespace palier::demo
