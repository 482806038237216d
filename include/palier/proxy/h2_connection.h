// H2Connection: a client's connection that speaks HTTP/2. The session (http/h2_session) knows the protocol,
// the streams (h2_stream) carry one exchange each; here they meet the transport. What all streams have to say
// in a turn of the loop leaves in one piece at its end.
//
// While the socket does not take what it was given, nothing more is read and no frame is made. A stream whose
// window is shut stops only itself.
//
// Thread: worker only. Owner: as every client connection.
#pragma once

#include "palier/http/h2_session.h"
#include "palier/proxy/client_connection.h"
#include "palier/proxy/h2_stream.h"
#include "palier/proxy/worker_core.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace palier::proxy {

class H2Connection final : public ClientConnection, private LateOutput, private http::H2Receiver {
  public:
    /// Goes on with the connection of `former`, from which `first` was read already.
    static void take_over(ClientConnection& former, std::string_view first);
    ~H2Connection() override;

    void wind_down() override;
    void tell_to_go() override { wind_down(); }
    [[nodiscard]] bool busy() const override { return !streams_.empty(); }

    // For the streams.

    [[nodiscard]] http::H2Session& session() { return session_; }
    [[nodiscard]] const ListenerFacts& listener() const { return *listener_; }
    [[nodiscard]] const base::SocketAddress& peer() const { return peer_; }
    [[nodiscard]] std::string_view subject() const {
        return subject_ ? std::string_view(*subject_) : std::string_view{};
    }
    [[nodiscard]] const config::TimeoutsConfig& deadlines() const { return timeouts(); }
    using ClientConnection::waits_to_write;
    /// There is output to gather at the end of this turn.
    void has_output();
    /// Makes and sends what frames there are. Streams that end by that live on until the turn does.
    void send_now();
    /// `stream` wants to be attended to in the next turn.
    void call_attention(H2Stream& stream);

  private:
    explicit H2Connection(ClientConnection& former);

    void on_readable() override;
    void on_drained() override;
    void on_close(Termination reason) override;
    void on_deadline(Waiting what) override;
    void on_turn_end() override;

    void on_request(std::int32_t id, const http::RequestHead& head, std::size_t size) override;
    void on_refused(std::int32_t id, http::Refusal refusal) override;
    void on_data(std::int32_t id, std::string_view bytes) override;
    void on_end(std::int32_t id, std::string_view trailers) override;
    void on_closed(std::int32_t id, http::H2Error error) override;

    void receive(std::string_view bytes);
    void give_up();
    H2Stream& open_stream(std::int32_t id);
    [[nodiscard]] H2Stream* find(std::int32_t id);
    void attend_to_streams();
    void send_frames();
    void make_frames();
    void close_ended();
    void drain();

    http::H2Session session_;
    std::vector<std::unique_ptr<H2Stream>> streams_;             // by id
    std::vector<std::int32_t> begun_;                            // in this read
    std::vector<std::pair<std::int32_t, http::H2Error>> ended_;  // closed by the session, not yet here
    base::IntrusiveList<H2Stream> attention_;
    bool making_frames_ = false;
    bool idle_ = false;      // the deadline of a connection without streams is set
    bool served_ = false;    // at least one request has come
    bool draining_ = false;  // GOAWAY is said
    bool dying_ = false;     // only what produce() still has is sent
};

}  // namespace palier::proxy
