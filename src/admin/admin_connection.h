// AdminConnection: one client of the admin listener, request after request.
//
//     state      deadline                                      ends with
//     head       client_header from its first byte on,         a whole head, or a refusal: its answer → writing
//                client_idle before it (client_header for
//                the first one)
//     writing    client_write without progress                 all of it sent → head, or lingering
//     lingering  two seconds                                   the client's end; what it still says is dropped
//
// A body is not read: its request is answered, and the connection ends.
//
// Thread: that of its loop. Owner: its AdminListener. Ends: AdminListener::forget hands it to the loop's deferred
// deletion.
#pragma once

#include "palier/admin/admin_listener.h"
#include "palier/base/buffer.h"
#include "palier/net/deferred.h"
#include "palier/net/socket.h"

#include <cstdint>
#include <string_view>

namespace palier::admin {

class AdminConnection final : public net::Deferred, private net::Watcher, private net::Task {
  public:
    using Place = std::list<std::unique_ptr<AdminConnection>>::iterator;

    AdminConnection(AdminListener& listener, int descriptor) : listener_(listener), descriptor_(descriptor) {}

    /// Begins, at `place` of its owner's list; false: the descriptor could not be watched and is closed.
    [[nodiscard]] bool start(Place place);
    /// Reads what is there, and may end.
    void look();
    [[nodiscard]] Place place() const { return place_; }
    /// It has been given an answer.
    [[nodiscard]] bool served() const { return served_; }
    void close();

  private:
    enum class State : std::uint8_t { head, writing, lingering };
    enum class Verdict : std::uint8_t { go_on, wait, finish };

    void on_events(std::uint32_t ready) override;
    void on_again() override;
    void on_timer();
    void advance();

    [[nodiscard]] Verdict step();
    [[nodiscard]] Verdict read_head();
    [[nodiscard]] Verdict write_out();
    [[nodiscard]] Verdict linger();
    [[nodiscard]] Verdict end_exchange();
    [[nodiscard]] Verdict read_more();

    void answer(const http::RequestHead& request);
    void refuse(std::uint16_t status, std::string_view why);
    void begin_writing(const Answer& answer, bool head_request);
    void set_deadline(config::Duration from_now);

    AdminListener& listener_;
    int descriptor_;  // until start()
    Place place_;
    net::Socket socket_;
    base::Buffer in_;
    base::Buffer out_;
    base::Timer timer_ = base::Timer::calling<&AdminConnection::on_timer>(this);
    std::size_t seen_ = 0;     // bytes of `in_` that the parser has looked at
    std::size_t dropped_ = 0;  // bytes, while lingering
    State state_ = State::head;
    bool keep_alive_ = true;
    bool served_ = false;
};

}  // namespace palier::admin
