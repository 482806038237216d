// What the session notes while nghttp2 reads. Nothing here calls the receiver.
#include "http/h2_core.h"

#include <algorithm>
#include <charconv>

namespace palier::http {
namespace {

/// Largest payload of a frame that a server with default SETTINGS takes.
constexpr std::size_t kMaxFrame = 16 * 1024;

[[nodiscard]] bool has(const nghttp2_frame_hd& frame, unsigned flag) {
    return (frame.flags & flag) != 0;
}

}  // namespace

/// Frames are counted when they begin: nghttp2 does not show the rest of all of them.
int H2Session::Core::begin_frame(const nghttp2_frame_hd& frame) {
    switch (frame.type) {
        case NGHTTP2_DATA:
            begin_data(frame);
            break;
        case NGHTTP2_HEADERS:
            if (frame.length == 0) counters_.empty_frame();
            continuations_ = 0;
            break;
        case NGHTTP2_CONTINUATION:
            if (frame.length == 0) counters_.empty_frame();
            if (++continuations_ > kH2Continuations + limits_.head.size / kMaxFrame) {
                counters_.give_up(H2Flood::continuations);
            }
            break;
        case NGHTTP2_SETTINGS:
        case NGHTTP2_GOAWAY:
            counters_.settings();
            break;
        case NGHTTP2_PING:
            counters_.ping();
            break;
        case NGHTTP2_RST_STREAM:
            counters_.reset_received();
            break;
        case NGHTTP2_PRIORITY:
        case kH2PriorityUpdate:
            counters_.priority();
            break;
        case NGHTTP2_WINDOW_UPDATE:
            counters_.window_update();
            break;
        default:
            break;
    }
    return counters_.flood() == H2Flood::none ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/// A request or trailers. No more requests are begun than may run, even if the client has reset some of them:
/// the receiver has not yet stopped their work.
int H2Session::Core::begin_block(const nghttp2_frame& frame) {
    const std::int32_t id = frame.hd.stream_id;
    if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) {
        block_ = H2Block(find(id), &records_.lines, true);
        block_open_ = block_.stream() != nullptr;
        return 0;
    }
    if (new_requests_ >= limits_.streams) {
        block_open_ = false;
        nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    ++new_requests_;
    counters_.request();
    H2Stream* stream = records_.take_stream();
    stream->id = id;
    streams_.push_back(*stream);
    nghttp2_session_set_stream_user_data(session_, id, stream);
    block_ = H2Block(stream, &records_.lines, false);
    block_open_ = true;
    return 0;
}

int H2Session::Core::add_field(std::string_view name, std::string_view value) {
    if (!block_open_ || block_.add(name, value, limits_.head) == H2Block::Added::good) return 0;
    counters_.give_up(H2Flood::continuations);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

void H2Session::Core::end_block(bool ends_stream) {
    if (!block_open_) return;
    block_open_ = false;
    H2Stream* stream = block_.stream();
    stream->ended = ends_stream;
    block_.finish(ends_stream);
    const auto index = static_cast<std::uint32_t>(records_.blocks.size());
    if (block_.is_trailers()) {
        records_.events.push_back({H2Event::Kind::end, index, stream, {}});
    } else {
        const std::string_view length = block_.content_length();
        if (!length.empty()) {
            std::from_chars(length.data(), length.data() + length.size(), stream->promised);
        }
        if (block_.has(H2Pseudo::protocol)) block_.set_websocket_key(records_.next_websocket_key());
        records_.events.push_back({H2Event::Kind::head, index, stream, {}});
        if (ends_stream) {
            records_.events.push_back({H2Event::Kind::end, H2Event::kNoBlock, stream, {}});
        }
    }
    records_.blocks.push_back(block_);
}

/// nghttp2 resets a stream whose bytes are not those of its Content-Length, but tells only when the frame is
/// sent; a backend should hear of it now. Padding hides how many there are: then it is left to nghttp2.
void H2Session::Core::begin_data(const nghttp2_frame_hd& frame) {
    const bool last = has(frame, NGHTTP2_FLAG_END_STREAM);
    if (frame.length == 0 && !last) counters_.empty_frame();
    if (frame.length > 0) counters_.data_frame();
    H2Stream* stream = find(frame.stream_id);
    if (stream == nullptr || stream->promised == H2Stream::kUnknown) return;
    if (has(frame, NGHTTP2_FLAG_PADDED)) {
        stream->promised = H2Stream::kUnknown;
        return;
    }
    const bool broken = frame.length > stream->promised || (last && frame.length < stream->promised);
    stream->promised -= std::min<std::uint64_t>(frame.length, stream->promised);
    if (broken) note_failure(*stream);
}

void H2Session::Core::add_data(std::int32_t id, std::string_view bytes) {
    unconsumed_ += bytes.size();
    H2Stream* stream = find(id);
    if (stream == nullptr || stream->failed) return;
    records_.events.push_back({H2Event::Kind::data, H2Event::kNoBlock, stream, bytes});
}

void H2Session::Core::end_data(const nghttp2_frame& frame) {
    const bool last = has(frame.hd, NGHTTP2_FLAG_END_STREAM);
    if (!last && frame.data.padlen > 0 && frame.data.padlen == frame.hd.length) {
        counters_.empty_frame();
    }
    if (!last) return;
    H2Stream* stream = find(frame.hd.stream_id);
    if (stream == nullptr || stream->failed) return;
    stream->ended = true;
    records_.events.push_back({H2Event::Kind::end, H2Event::kNoBlock, stream, {}});
}

void H2Session::Core::frame_received(const nghttp2_frame& frame) {
    switch (frame.hd.type) {
        case NGHTTP2_HEADERS:
            end_block(has(frame.hd, NGHTTP2_FLAG_END_STREAM));
            break;
        case NGHTTP2_DATA:
            end_data(frame);
            break;
        case NGHTTP2_PING:
            if (has(frame.hd, NGHTTP2_FLAG_ACK)) ping_answered(frame.ping.opaque_data);
            break;
        default:
            break;
    }
}

/// nghttp2 resets the stream or ends the connection.
void H2Session::Core::invalid_frame(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_HEADERS) block_open_ = false;
    if (H2Stream* stream = find(frame.hd.stream_id)) note_failure(*stream);
}

void H2Session::Core::note_failure(H2Stream& stream) {
    if (stream.failed) return;
    stream.failed = true;
    records_.events.push_back({H2Event::Kind::failed, H2Event::kNoBlock, &stream, {}});
}

/// In receive() the receiver hears of it in its turn, in produce() at its end.
void H2Session::Core::close(std::int32_t id, std::uint32_t error) {
    H2Stream* stream = find(id);
    if (stream == nullptr) return;
    stream->gone = true;
    stream->source = nullptr;
    stream->error = static_cast<H2Error>(error);
    if (block_open_ && block_.stream() == stream) block_open_ = false;
    if (error == NGHTTP2_NO_ERROR && stream->responded) counters_.finished();
    if (receiving_) {
        records_.events.push_back({H2Event::Kind::closed, H2Event::kNoBlock, stream, {}});
    } else {
        defer_closed(stream);
    }
}

void H2Session::Core::defer_closed(H2Stream* stream) {
    *last_closed_ = stream;
    last_closed_ = &stream->next_closed;
}

}  // namespace palier::http
