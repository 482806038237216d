// The life of a session: its settings, what comes in, what goes out, how it ends.
#include "palier/http/h2_session.h"

#include "http/h2_core.h"
#include "palier/base/assert.h"

#include <algorithm>
#include <array>
#include <new>

namespace palier::http {
namespace {

/// What a client may send on one stream before its bytes are used: a fast upload over 40 ms at 25 Mbit/s.
constexpr std::uint32_t kStreamWindow = 128 * 1024;

/// What is on its way on all streams together; used as soon as it arrives, so that no stream stops another.
constexpr std::int32_t kConnectionWindow = 4 * 1024 * 1024;

constexpr std::size_t kMaxSettings = 32;  // entries of one frame

/// The session counts CONTINUATION frames itself, but nghttp2 shows only those of streams that it has
/// accepted; and it counts each piece in which a frame's head arrives.
constexpr std::size_t kMaxContinuations = 1000;

/// Backends' heads are bounded where they are read. What nghttp2 refuses to send would leave a stream
/// hanging.
constexpr std::size_t kMaxSentHead = std::size_t{16} << 20;

constexpr std::array<std::uint8_t, 8> kShutdownPing{'s', 'h', 'u', 't', 'd', 'o', 'w', 'n'};

using Options = std::unique_ptr<nghttp2_option, decltype(&nghttp2_option_del)>;

[[nodiscard]] Options make_options() {
    nghttp2_option* options = nullptr;
    if (nghttp2_option_new(&options) != 0) throw std::bad_alloc();
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_settings(options, kMaxSettings);
    nghttp2_option_set_max_outbound_ack(options, kH2Queued);
    nghttp2_option_set_max_continuations(options, kMaxContinuations);
    nghttp2_option_set_max_send_header_block_length(options, kMaxSentHead);
    nghttp2_option_set_user_recv_extension_type(options, kH2PriorityUpdate);
    // H2Counters has its own idea of how many are too many.
    nghttp2_option_set_stream_reset_rate_limit(options, 1'000'000'000, 1'000'000'000);
    return {options, &nghttp2_option_del};
}

[[nodiscard]] std::uint32_t code_of(H2Error error) {
    return static_cast<std::uint32_t>(error);
}

}  // namespace

H2Session::Core::Core(Records& records, const H2Limits& limits) : records_(records), limits_(limits) {
    static const Options kOptions = make_options();
    if (nghttp2_session_server_new2(&session_, callbacks(), this, kOptions.get()) != 0)
        throw std::bad_alloc();
    // Without the priorities of RFC 7540 nghttp2 keeps no tree of streams; those of RFC 9218 take their
    // place.
    const std::array<nghttp2_settings_entry, 5> settings{{
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.head.size)},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    }};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

H2Session::Core::~Core() {
    nghttp2_session_del(session_);
    while (H2Stream* stream = streams_.front())
        free_stream(stream);
}

H2Stream* H2Session::Core::find(std::int32_t stream) const {
    return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session_, stream));
}

void H2Session::Core::free_stream(H2Stream* stream) {
    stream->unlink();
    records_.give_stream(stream);
}

bool H2Session::Core::receive(std::string_view bytes, std::uint64_t now_ms, H2Receiver& receiver) {
    PALIER_ASSERT(!records_.busy && out_ == nullptr);
    if (ended_ || broken_) return false;
    counters_.at(now_ms);
    records_.busy = receiving_ = true;
    new_requests_ = block_open_ && !block_.is_trailers() ? 1 : 0;
    unconsumed_ = 0;
    const auto* input = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const ssize_t taken = nghttp2_session_mem_recv(session_, input, bytes.size());
    receiving_ = false;
    if (taken < 0) fail(static_cast<int>(taken));
    if (nghttp2_session_get_outbound_queue_size(session_) > kH2Queued) counters_.give_up(H2Flood::queue);
    if (counters_.flood() != H2Flood::none) give_up(H2Error::enhance_your_calm);
    if (unconsumed_ > 0) nghttp2_session_consume_connection(session_, unconsumed_);
    dispatch(receiver);
    if (block_open_) {
        keep_block();
    } else {
        kept_.reset();
    }
    records_.clear();
    records_.busy = false;
    return !ended_;
}

/// nghttp2 gave up, or a callback made it.
void H2Session::Core::fail(int error) {
    switch (error) {
        case NGHTTP2_ERR_CALLBACK_FAILURE:  // counters_ has the reason
            give_up(H2Error::enhance_your_calm);
            break;
        case NGHTTP2_ERR_FLOODED:
            counters_.give_up(H2Flood::queue);
            give_up(H2Error::enhance_your_calm);
            break;
        case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
            counters_.give_up(H2Flood::continuations);
            give_up(H2Error::enhance_your_calm);
            break;
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
            give_up(H2Error::protocol_error);
            break;
        default:
            give_up(H2Error::internal_error);
            break;
    }
}

void H2Session::Core::give_up(H2Error error) {
    ended_ = true;
    block_open_ = false;
    nghttp2_session_terminate_session(session_, code_of(error));
}

/// The rest of a block that the end of the input has cut comes with the next input; the memory in which it
/// was collected so far belongs to all sessions.
void H2Session::Core::keep_block() {
    if (block_.lines() != &records_.lines) return;
    kept_ = std::make_unique<H2Lines>();
    block_.move_to(kept_.get());
}

void H2Session::Core::reset(std::int32_t id, H2Error error, bool blame) {
    H2Stream* stream = find(id);
    if (stream == nullptr) {
        // Closed by the client, but the receiver is yet to hear of things that came before.
        for (stream = streams_.front(); stream != nullptr && stream->id != id; stream = streams_.next(stream))
            ;
        if (stream != nullptr) stream->muted = true;
        return;
    }
    stream->our_reset = !blame;
    submit_reset(*stream, error);
}

void H2Session::Core::submit_reset(H2Stream& stream, H2Error error) {
    stream.muted = true;
    stream.source = nullptr;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code_of(error));
}

void H2Session::Core::consume(std::int32_t stream, std::size_t size) {
    nghttp2_session_consume_stream(session_, stream, size);
}

void H2Session::Core::go_away() {
    if (!going_) {
        going_ = true;
        nghttp2_submit_shutdown_notice(session_);
    } else if (!gone_) {
        gone_ = true;
        nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                              NGHTTP2_NO_ERROR, nullptr, 0);
    }
}

/// nghttp2 sends a PING before all else, so it is submitted when the notice is out.
void H2Session::Core::goaway_sent(const nghttp2_goaway& goaway) {
    if (goaway.error_code != NGHTTP2_NO_ERROR) {
        ended_ = true;
    } else if (going_ && !gone_) {
        nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kShutdownPing.data());
    }
}

/// What the client sent before it answered has arrived: the last stream can be named.
void H2Session::Core::ping_answered(const std::uint8_t* data) {
    if (going_ && std::equal(kShutdownPing.begin(), kShutdownPing.end(), data)) go_away();
}

void H2Session::Core::terminate(H2Error error) {
    give_up(error);
}

bool H2Session::Core::has_output() const {
    return !broken_ && (closed_ != nullptr || nghttp2_session_want_write(session_) != 0);
}

bool H2Session::Core::finished() const {
    return broken_ || (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

std::size_t H2Session::Core::window(std::int32_t stream) const {
    const std::int32_t room = std::min(nghttp2_session_get_remote_window_size(session_),
                                       nghttp2_session_get_stream_remote_window_size(session_, stream));
    return room > 0 ? static_cast<std::size_t>(room) : 0;
}

H2Session::H2Session(H2Workspace& workspace, const H2Limits& limits)
    : core_(std::make_unique<Core>(*workspace.records_, limits)) {}

H2Session::~H2Session() = default;

bool H2Session::receive(std::string_view bytes, std::uint64_t now_ms, H2Receiver& receiver) {
    return core_->receive(bytes, now_ms, receiver);
}

H2Flood H2Session::flood() const {
    return core_->flood();
}

void H2Session::respond(std::int32_t stream, const ResponseHead& head, BodyLength body, bool head_request,
                        std::string_view hsts, H2Source* source) {
    core_->respond(stream, head, body, head_request, hsts, source);
}

void H2Session::inform(std::int32_t stream, const ResponseHead& head) {
    core_->inform(stream, head);
}

void H2Session::end_tunnel(std::int32_t stream) {
    core_->end_tunnel(stream);
}

void H2Session::resume(std::int32_t stream) {
    core_->resume(stream);
}

void H2Session::reset(std::int32_t stream, H2Error error, bool blame) {
    core_->reset(stream, error, blame);
}

void H2Session::consume(std::int32_t stream, std::size_t size) {
    core_->consume(stream, size);
}

void H2Session::go_away() {
    core_->go_away();
}

void H2Session::terminate(H2Error error) {
    core_->terminate(error);
}

void H2Session::produce(base::Buffer& out, std::size_t enough, H2Receiver& receiver) {
    core_->produce(out, enough, receiver);
}

bool H2Session::has_output() const {
    return core_->has_output();
}

bool H2Session::finished() const {
    return core_->finished();
}

std::size_t H2Session::window(std::int32_t stream) const {
    return core_->window(stream);
}

}  // namespace palier::http
