// H2Stream: one HTTP/2 stream, the client's side of one exchange. It keeps what the exchange does not take
// yet of the request's body, and what flow control does not let go yet of the response's.
//
// Its stages:
//   begun       the head is here; begin() → start() at the end of the same read
//   served      the exchange lives
//   answered    the exchange is done; what is left of the answer leaves as the client's window opens
//   lost        reset by us: the exchange hears of it in the next turn
// It lives until the session says that it is closed: reset by either side, or all is sent both ways.
//
// Thread: worker only. Owner: its H2Connection.
#pragma once

#include "palier/base/buffer.h"
#include "palier/base/intrusive_list.h"
#include "palier/base/timer_wheel.h"
#include "palier/http/h2_session.h"
#include "palier/proxy/client_stream.h"
#include "palier/proxy/termination.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace palier::proxy {

class Exchange;
class H2Connection;
class WorkerCore;

class H2Stream final : private ClientStream, private http::H2Source, public base::ListLink<H2Stream> {
  public:
    H2Stream(H2Connection& connection, WorkerCore& core, std::int32_t id);
    ~H2Stream();
    H2Stream(const H2Stream&) = delete;
    H2Stream& operator=(const H2Stream&) = delete;

    // For the connection.

    [[nodiscard]] std::int32_t id() const { return id_; }
    void begin(const http::RequestHead& head, std::size_t size);
    void begin_refused(std::uint16_t status, Termination reason);
    /// Gives the exchange what came with the head, and lets it go.
    void start();
    void take_data(std::string_view bytes) { in_.append(bytes); }
    void take_end(std::string_view trailers);
    /// Gives the exchange what it wants, after something has changed. True: it is over, to be deleted.
    [[nodiscard]] bool attend();
    /// The session has closed it. True: it is over, to be deleted; else it lives until its tunnel's last words
    /// are through. Not while the scratch buffer is in use.
    [[nodiscard]] bool closed(http::H2Error error);
    /// The client is gone: the exchange ends.
    void gone(Termination reason);

  private:
    /// The deadline that the timer stands for.
    enum class Waiting : std::uint8_t { nothing, body, write };

    [[nodiscard]] const ListenerFacts& listener() const override;
    [[nodiscard]] const base::SocketAddress& peer() const override;
    [[nodiscard]] std::string_view subject() const override;
    [[nodiscard]] std::string_view protocol() const override { return "HTTP/2.0"; }
    std::size_t answer(base::Buffer& message, bool head_request) override;
    std::size_t inform(const http::ResponseHead& head) override;
    [[nodiscard]] ResponseTerms start_response(const http::ResponseHead& head, bool keep_alive,
                                               bool head_request) override;
    void drop_response() override {}
    std::size_t write_body(char* begin, char* end, std::size_t room, bool ended,
                           std::string_view trailers) override;
    std::size_t start_tunnel(const http::ResponseHead& head, std::string_view rest) override;
    void write_tunnel(const char* begin, const char* end) override;
    void end_tunnel() override;
    [[nodiscard]] bool blocked() const override;
    [[nodiscard]] Appetite appetite() const override;
    [[nodiscard]] bool takes_pipes() const override { return false; }
    std::size_t take_from(net::Pipe&) override { return 0; }
    void resume_body() override;
    void finish_exchange(After after) override;
    void cut() override;

    [[nodiscard]] std::size_t available() const override { return fresh_.size() + out_.size(); }
    [[nodiscard]] bool ended() const override { return out_ended_; }
    [[nodiscard]] std::string_view trailers() const override { return trailers_out_; }
    void take(base::Buffer& out, std::size_t size) override;

    void hold_body();
    void pump_body();
    void write(std::string_view bytes);
    void wait_for(Waiting what, std::chrono::milliseconds delay);
    void wait_for_nothing(Waiting what);
    void on_timer();

    H2Connection& connection_;
    WorkerCore& core_;
    std::unique_ptr<Exchange> exchange_;
    base::Buffer in_;
    base::Buffer out_;
    std::string_view fresh_;  // bytes that were not kept yet, during a write(); only while `out_` is empty
    base::Timer timer_;
    std::string trailers_in_;
    std::string trailers_out_;
    std::string websocket_key_;  // of the upgrade that stands for an extended CONNECT; "" for a request
    std::size_t head_size_ = 0;  // of the response, until write_body() counts it
    std::int32_t id_;
    Waiting waiting_for_ = Waiting::nothing;
    bool in_ended_ = false;     // the client has ended its side
    bool in_end_told_ = false;  // … and the exchange knows
    bool out_ended_ = false;    // the response is complete in `out_`
    bool responded_ = false;    // its head is submitted
    bool drained_ = false;      // on_client_drained() is due
    bool detached_ = false;      // the session has closed it
    bool lost_ = false;
};

}  // namespace palier::proxy
