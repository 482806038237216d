// H1Connection: a client's connection that speaks HTTP/1: reads heads, feeds bodies to the exchange of the
// moment, carries its answer out, and lives on to the next request.
//
// It holds bytes only of an incomplete head, or of what follows a complete request.
//
// Thread: worker only. Owner: as every client connection.
#pragma once

#include "palier/http/h1_parser.h"
#include "palier/proxy/client_connection.h"
#include "palier/proxy/client_stream.h"

#include <cstdint>
#include <memory>
#include <string_view>

namespace palier::proxy {

class Exchange;

class H1Connection final : public ClientConnection, private ClientStream {
  public:
    H1Connection(WorkerCore& core, std::shared_ptr<const ListenerFacts> listener,
                 const base::SocketAddress& peer);
    ~H1Connection() override;

    /// Goes on with the connection of `former`, from which `first` was read already.
    static void take_over(ClientConnection& former, std::string_view first);
    /// Answers a client that spoke plain HTTP to a TLS port.
    static void refuse_plain(ClientConnection& former);

    void wind_down() override;
    void give_up_request() override;
    [[nodiscard]] bool busy() const override { return state_ == State::exchange; }

  private:
    enum class State : std::uint8_t {
        idle,      // between requests; owns no memory
        head,      // some bytes of a head have come
        exchange,  // a request is being served
        ended,     // the last answer was given
    };

    explicit H1Connection(ClientConnection& former);

    void on_readable() override;
    void on_drained() override;
    void on_close(Termination reason) override;
    void on_deadline(Waiting what) override;

    // For the exchange.
    [[nodiscard]] const ListenerFacts& listener() const override { return *listener_; }
    [[nodiscard]] const base::SocketAddress& peer() const override { return peer_; }
    [[nodiscard]] std::string_view subject() const override;
    [[nodiscard]] std::string_view protocol() const override;
    std::size_t answer(base::Buffer& message, bool head_request) override;
    std::size_t inform(const http::ResponseHead& head) override;
    [[nodiscard]] ResponseTerms start_response(const http::ResponseHead& head, bool keep_alive,
                                               bool head_request) override;
    void drop_response() override;
    std::size_t write_body(char* begin, char* end, std::size_t room, bool ended,
                           std::string_view trailers) override;
    std::size_t start_tunnel(const http::ResponseHead& head, std::string_view rest) override;
    void write_tunnel(const char* begin, const char* end) override { send(begin, end); }
    void end_tunnel() override { transport_.shutdown_write(); }
    [[nodiscard]] bool blocked() const override { return stuck(); }
    [[nodiscard]] Appetite appetite() const override;
    [[nodiscard]] bool takes_pipes() const override { return !transport_.encrypted(); }
    std::size_t take_from(net::Pipe& pipe) override;
    void resume_body() override;
    void finish_exchange(After after) override;
    void cut() override { cut_connection(); }

    void read_head();
    [[nodiscard]] bool is_http2(std::string_view bytes);
    void begin_exchange(std::string_view bytes, std::size_t head_size);
    void refuse(http::Refusal refusal);
    void answer_and_close(std::uint16_t status, Termination reason);
    void read_body();
    [[nodiscard]] bool read_piece(std::size_t& size);
    void wait_for_body();
    [[nodiscard]] net::IoResult read_more(std::string_view& bytes);
    std::size_t send_head_out();

    std::unique_ptr<Exchange> exchange_;  // null between requests
    base::Buffer in_;
    std::uint64_t first_byte_us_ = 0;  // of the request that is being read
    std::uint32_t head_seen_ = 0;      // bytes of an incomplete head that were looked at
    State state_ = State::idle;
    http::Framing framing_ = http::Framing::none;  // of the response body
    std::uint8_t minor_ = 1;                       // HTTP/1.minor, of the latest request
    bool eof_ = false;                             // the client has finished sending
    bool served_ = false;                          // at least one request has come
    bool last_ = false;                            // the client was told that no other answer will follow
};

}  // namespace palier::proxy
