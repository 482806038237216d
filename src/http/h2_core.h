// The inside of H2Session: nghttp2's session, its streams, and what its callbacks note.
// Thread: worker only. Owner: the H2Session.
#pragma once

#include "http/h2_block.h"
#include "http/h2_flood.h"
#include "http/h2_stream.h"
#include "palier/base/intrusive_list.h"
#include "palier/http/h2_session.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>

namespace palier::http {

inline constexpr std::uint8_t kH2PriorityUpdate = 0x10;  // a frame's type (RFC 9218 section 7.1)

/// Something that the receiver will hear of, once nghttp2 has returned.
struct H2Event {
    enum class Kind : std::uint8_t {
        head,
        data,
        end,
        failed,  // we reset it for what it sent; nghttp2 will close it
        closed,
    };
    Kind kind;
    std::uint32_t block;  // of a head, or of trailers at an end (kNoBlock for none)
    H2Stream* stream;
    std::string_view data;

    static constexpr std::uint32_t kNoBlock = ~std::uint32_t{0};
};

/// Cleared before and after each receive(), but for the memory and what never changes.
struct H2Workspace::Records {
    Records();
    ~Records();
    Records(const Records&) = delete;
    Records& operator=(const Records&) = delete;

    [[nodiscard]] H2Stream* take_stream();
    void give_stream(H2Stream* stream);
    void clear();
    /// Sixteen bytes in base64. Nobody has to be unable to guess it (RFC 6455 section 10.3 wants caches
    /// confused).
    [[nodiscard]] std::string_view next_websocket_key();

    H2Lines lines;
    std::vector<H2Block> blocks;  // complete ones
    std::vector<H2Event> events;
    RequestHead head;
    std::string trailers;
    std::vector<nghttp2_nv> sent_fields;  // of a head that is about to be submitted
    std::array<char, 3> status{};         // its :status
    bool busy = false;                    // receive() is under way

  private:
    std::vector<H2Stream*> free_streams_;
    std::uint64_t websocket_seed_;
    char websocket_key_[24]{};
};

class H2Session::Core {
  public:
    using Records = H2Workspace::Records;

    Core(Records& records, const H2Limits& limits);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    [[nodiscard]] bool receive(std::string_view bytes, std::uint64_t now_ms, H2Receiver& receiver);
    void respond(std::int32_t stream, const ResponseHead& head, BodyLength body, bool head_request,
                 std::string_view hsts, H2Source* source);
    void inform(std::int32_t stream, const ResponseHead& head);
    void end_tunnel(std::int32_t id);
    void resume(std::int32_t stream);
    void reset(std::int32_t stream, H2Error error, bool blame);
    void consume(std::int32_t stream, std::size_t size);
    void go_away();
    void terminate(H2Error error);
    void produce(base::Buffer& out, std::size_t enough, H2Receiver& receiver);
    [[nodiscard]] bool has_output() const;
    [[nodiscard]] bool finished() const;
    [[nodiscard]] std::size_t window(std::int32_t stream) const;
    [[nodiscard]] H2Flood flood() const { return counters_.flood(); }

  private:
    struct Callbacks;
    /// Shared by all sessions of all threads; nghttp2 copies them.
    [[nodiscard]] static const nghttp2_session_callbacks* callbacks();

    [[nodiscard]] H2Stream* find(std::int32_t stream) const;
    void free_stream(H2Stream* stream);
    void submit_reset(H2Stream& stream, H2Error error);

    // What nghttp2 reads (h2_recording.cc).
    int begin_frame(const nghttp2_frame_hd& frame);
    int begin_block(const nghttp2_frame& frame);
    int add_field(std::string_view name, std::string_view value);
    void end_block(bool ends_stream);
    void begin_data(const nghttp2_frame_hd& frame);
    void add_data(std::int32_t id, std::string_view bytes);
    void end_data(const nghttp2_frame& frame);
    void frame_received(const nghttp2_frame& frame);
    void invalid_frame(const nghttp2_frame& frame);
    void note_failure(H2Stream& stream);
    void close(std::int32_t id, std::uint32_t error);
    void defer_closed(H2Stream* stream);

    // What nghttp2 writes (h2_sending.cc).
    static ssize_t read_source_callback(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t,
                                        std::uint32_t*, nghttp2_data_source*, void*);
    [[nodiscard]] ssize_t read_source(H2Stream& stream, std::size_t size, std::uint32_t& flags);
    [[nodiscard]] int send_data(H2Stream& stream, const std::uint8_t* frame_head, std::size_t size);
    void frame_sent(const nghttp2_frame& frame);
    void frame_not_sent(const nghttp2_frame& frame);
    void response_sent(std::int32_t id);
    void reset_sent(std::int32_t id, std::uint32_t error);

    // What the receiver hears (h2_dispatch.cc).
    void dispatch(H2Receiver& receiver);
    void dispatch_event(const H2Event& event, H2Receiver& receiver);
    void dispatch_head(H2Stream& stream, const H2Block& block, H2Receiver& receiver);
    void dispatch_end(H2Stream& stream, std::uint32_t index, H2Receiver& receiver);
    [[nodiscard]] bool dispatch_closed(H2Receiver& receiver);
    void tell_closed(H2Stream& stream, H2Error error, H2Receiver& receiver);

    // What is sent of a response's head (h2_response.cc).
    void begin_fields(std::uint16_t status);
    void add_sent(std::string_view name, std::string_view value);
    void add_sent(const ResponseHead& head, bool switched, bool with_length, bool with_hsts);
    void add_sent_lines(std::string_view lines);
    [[nodiscard]] bool submit_trailers(const H2Stream& stream, std::string_view lines);

    // The connection's end (h2_session.cc).
    /// Nothing more is read; GOAWAY with `error` is next.
    void give_up(H2Error error);
    void fail(int error);
    void keep_block();
    void goaway_sent(const nghttp2_goaway& goaway);
    void ping_answered(const std::uint8_t* data);

    Records& records_;
    H2Limits limits_;
    nghttp2_session* session_ = nullptr;
    base::IntrusiveList<H2Stream> streams_;
    H2Stream* closed_ = nullptr;  // first of those to be told after produce()
    H2Stream** last_closed_ = &closed_;
    H2Counters counters_;

    std::unique_ptr<H2Lines> kept_;  // of a block whose end has not arrived
    H2Block block_;                  // that is being decoded, if block_open_
    std::size_t continuations_ = 0;  // of it
    std::size_t new_requests_ = 0;   // in this receive(), not yet dispatched
    std::size_t unconsumed_ = 0;     // bytes of DATA in this receive()

    base::Buffer* out_ = nullptr;  // during produce()
    std::size_t enough_ = 0;

    bool block_open_ = false;
    bool receiving_ = false;
    bool ended_ = false;   // a GOAWAY ends the connection, or already has
    bool broken_ = false;  // nghttp2 can write no more
    bool going_ = false;   // go_away() was called
    bool gone_ = false;    // and the last GOAWAY submitted
};

}  // namespace palier::http
