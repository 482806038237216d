// Exchange: one request and its response, from the client's first byte to the last byte given back. It
// routes, leases a server, relays both messages, retries where that is safe, and writes the access log's
// line. Its states are tabled at the top of exchange.cc.
//
// Thread: worker only. Owner: its client's connection or stream, from the worker's free list. Ends: finish(),
// which hands it back.
#pragma once

#include "palier/base/buffer.h"
#include "palier/http/body.h"
#include "palier/http/message.h"
#include "palier/net/loop.h"
#include "palier/net/pipe.h"
#include "palier/pool/lease.h"
#include "palier/pool/worker_pool.h"
#include "palier/proxy/snapshot.h"
#include "palier/proxy/termination.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace palier::proxy {

class ClientStream;
class WorkerCore;

class Exchange final : private pool::BackendUser, private pool::Waiter, private net::Task {
  public:
    explicit Exchange(WorkerCore& core);
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    /// Gives back what an unused exchange must not hold: its buffer and its snapshot.
    void recycle();

    // For the client's connection or stream.

    /// Takes a request whose head was parsed; the views need to live for this call only. `body`: how its body
    /// comes, which for HTTP/2 is not how it goes on to the backend. Nothing is sent before start().
    void begin(ClientStream& client, const http::RequestHead& head, http::BodyLength body,
               std::uint64_t first_byte_us, std::size_t head_size);
    /// Takes body bytes that came with the head, before start(), so that one send takes both and another try
    /// finds both. Returns how many of them belonged to this request.
    [[nodiscard]] std::size_t hold_body(char* begin, char* end);
    /// Takes a client whose request head was refused, to answer with `status` and close.
    void begin_refused(ClientStream& client, std::uint16_t status, Termination reason);
    void start();

    [[nodiscard]] bool wants_body() const;
    /// The rest of the body is to go through splice_body(), which moves some of it from the client's socket.
    [[nodiscard]] bool splices_body();
    [[nodiscard]] net::IoStatus splice_body(net::Socket& client);
    /// More of the body, in the scratch buffer; returns how much of it belonged to this request.
    [[nodiscard]] std::size_t take_body(char* begin, char* end);
    /// The body has ended, where its bytes do not tell: as HTTP/2's. Before start(), or while wants_body().
    void end_body(std::string_view trailers);
    /// The client has taken all that was written.
    void on_client_drained();
    /// The client will send no more.
    void on_client_eof();
    /// The client's connection is gone, or is to be given up for `reason`.
    void on_client_gone(Termination reason);
    void on_client_body_timeout();
    [[nodiscard]] std::chrono::milliseconds body_timeout() const { return config().timeouts.client_body; }
    /// Whether it is the client's turn to send: not while it waits for the backend's 100.
    [[nodiscard]] bool awaits_continue() const { return awaits_continue_; }
    [[nodiscard]] bool tunnelling() const { return state_ == State::tunnel; }

  private:
    /// From the end of the path in request_ to the host: what http::write_request_head puts there.
    static constexpr std::size_t kHostOffset = std::string_view(" HTTP/1.1\r\nHost: ").size();

    enum class State : std::uint8_t {
        idle,
        answering,
        queued,
        connecting,
        awaiting,
        relaying,
        tunnel,
        finished
    };

    // exchange.cc: beginning, ending
    void reset();
    void finish(Termination reason, bool keep_alive);
    void join_pool();
    void leave_pool();
    void answer_error(std::uint16_t status, Termination reason, bool retry_after = false);
    void answer_maintenance();
    void send_answer(Termination reason, std::uint16_t status, bool keep_alive);
    [[nodiscard]] bool may_keep_alive() const;
    void log(Termination reason);

    // exchange_request.cc: routing and the way to the backend
    void take_head(const http::RequestHead& head);
    [[nodiscard]] std::string_view host_of_pool() const;
    void redirect(const config::RedirectAction& action);
    void respond(const config::RespondAction& action);
    void choose_server();
    void wait_for_server();
    void use_connection();
    void start_connecting();
    void on_connected();
    void send_request();
    [[nodiscard]] bool flush_backend();
    void write_to_backend(const char* begin, const char* end);
    void write_last_chunk_to_backend(std::string_view trailers);
    [[nodiscard]] std::string_view sent_field(std::string_view name) const;

    // exchange_response.cc: the way back
    [[nodiscard]] bool spoke_unasked(std::uint32_t ready) const;
    void read_response();
    void take_response(char* begin, char* end);
    void take_response_head(char* begin, char* end);
    void start_response(const http::ResponseHead& head, char* place, std::string_view rest);
    void relay_response(char* begin, char* end);
    void inform(const http::ResponseHead& head);
    void response_complete();
    void on_backend_closed();

    // exchange_splice.cc: large bodies, through pipes
    [[nodiscard]] bool splices_response();
    void splice_response();
    [[nodiscard]] bool flush_pipe();

    // exchange_failure.cc: what went wrong at the backend, and whether another may try
    enum class Fault : std::uint8_t { connect, connect_timeout, reset, timeout, bad_response, cut, status };
    void backend_failed(Fault fault, std::string_view detail);
    [[nodiscard]] bool may_retry(Fault fault, std::uint16_t status) const;
    [[nodiscard]] bool retry();

    // exchange_tunnel.cc: after 101
    void start_tunnel(const http::ResponseHead& head, std::string_view rest);
    void tunnel_from_client(const char* begin, const char* end);
    void tunnel_from_backend();
    void tunnel_progress();

    void on_backend_events(std::uint32_t ready) override;
    void on_backend_deadline() override;
    void on_server_free() override;
    void on_tunnel_unwanted() override;
    void on_again() override;

    [[nodiscard]] const config::Config& config() const { return *snapshot_->config; }
    void arm_backend(std::chrono::milliseconds delay);
    void arm_sending();

    WorkerCore& core_;
    ClientStream* client_ = nullptr;
    SnapshotPin snapshot_;
    SnapshotPin picked_under_;  // keeps last_server_
    const config::RouteConfig* route_ = nullptr;
    pool::WorkerPool* pool_ = nullptr;
    pool::Lease lease_;
    base::Timer queue_timer_;
    std::vector<const pool::ServerState*> tried_;

    State state_ = State::idle;
    Termination reason_ = Termination::ok;  // how the answer in flight will be logged
    std::uint16_t refused_status_ = 0;      // what start() is to answer; 0: go on
    bool trusted_ = false;                  // the client is a trusted proxy

    // The request: its head as sent to backends and the body bytes that came with it, kept for another try.
    base::Buffer request_;
    std::size_t request_sent_ = 0;
    http::BodyReader request_body_;
    http::Framing request_framing_ = http::Framing::none;  // towards the backend
    http::Method method_ = http::Method::get;
    std::unique_ptr<net::Pipe> request_pipe_;  // while a large body is spliced
    bool awaits_continue_ = false;  // the client holds its body back until a 100 (RFC 9110 section 10.1.1)
    bool held_whole_ = true;        // all of the request that was consumed is in request_
    bool request_ended_ = false;    // the client's last body byte is here
    bool request_broken_ = false;   // the backend takes no more of it
    bool head_request_ = false;
    bool wants_upgrade_ = false;
    bool client_keep_alive_ = true;

    // The response.
    http::BodyReader response_body_;
    std::unique_ptr<net::Pipe> response_pipe_;  // while a large body is spliced
    http::Framing response_framing_ = http::Framing::none;
    bool reads_more_ = false;  // while reads come back full
    std::uint32_t head_seen_ = 0;
    std::uint8_t informational_ = 0;
    bool head_sent_ = false;  // the client has the response head: no other answer is possible
    bool response_ended_ = false;
    bool backend_reusable_ = false;
    bool keep_alive_ = true;

    // A tunnel's ends.
    bool client_eof_ = false;
    bool backend_eof_ = false;

    // For the access log: sizes of what request_ begins with, and numbers.
    std::uint32_t method_size_ = 0;
    std::uint32_t path_size_ = 0;
    std::uint32_t host_size_ = 0;
    std::array<char, 32> request_id_{};
    std::array<char, 46> client_text_{};
    std::uint8_t client_text_size_ = 0;
    std::uint16_t status_ = 0;
    std::uint32_t tries_ = 0;
    std::uint64_t bytes_in_ = 0;
    std::uint64_t bytes_out_ = 0;
    std::uint64_t started_us_ = 0;
    std::uint64_t asked_in_turn_ = 0;  // of the loop, when a pooled connection was given this request
    std::uint64_t first_out_us_ = 0;
    pool::ServerState* last_server_ = nullptr;
};

}  // namespace palier::proxy
