// Frames out: nghttp2 decides which is next, bodies come straight from their sources.
#include "http/h2_core.h"
#include "palier/base/assert.h"

#include <algorithm>

namespace palier::http {
namespace {

constexpr std::size_t kFrameHead = 9;

}  // namespace

void H2Session::Core::produce(base::Buffer& out, std::size_t enough, H2Receiver& receiver) {
    PALIER_ASSERT(out_ == nullptr && !receiving_);
    do {
        out_ = &out;
        enough_ = enough;
        while (!broken_ && out.size() < enough) {
            const std::uint8_t* bytes = nullptr;
            const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
            if (size < 0) broken_ = ended_ = true;
            if (size <= 0) break;
            out.append({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
        }
        out_ = nullptr;
    } while (dispatch_closed(receiver) && has_output() && out.size() < enough);
}

void H2Session::Core::resume(std::int32_t stream) {
    nghttp2_session_resume_data(session_, stream);
}

void H2Session::Core::end_tunnel(std::int32_t id) {
    H2Stream* stream = find(id);
    if (stream == nullptr) return;
    stream->tunnel = false;
    if (nghttp2_session_get_stream_local_close(session_, id) == 1) response_sent(id);
}

ssize_t H2Session::Core::read_source(H2Stream& stream, std::size_t size, std::uint32_t& flags) {
    H2Source* source = stream.source;
    if (source == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const std::size_t available = source->available();
    const std::size_t taken = std::min(size, available);
    const bool last = taken == available && source->ended();
    if (taken == 0 && !last) return NGHTTP2_ERR_DEFERRED;
    flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (last) {
        flags |= NGHTTP2_DATA_FLAG_EOF;
        const std::string_view trailers = source->trailers();
        if (!trailers.empty() && submit_trailers(stream, trailers)) flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<ssize_t>(taken);
}

int H2Session::Core::send_data(H2Stream& stream, const std::uint8_t* frame_head, std::size_t size) {
    if (stream.source == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    out_->append({reinterpret_cast<const char*>(frame_head), kFrameHead});
    if (size > 0) {
        const std::size_t before = out_->size();
        stream.source->take(*out_, size);
        PALIER_ASSERT(out_->size() == before + size);
        counters_.data_frame();
        counters_.sent(size);
    }
    return out_->size() < enough_ ? 0 : NGHTTP2_ERR_PAUSE;
}

void H2Session::Core::frame_sent(const nghttp2_frame& frame) {
    switch (frame.hd.type) {
        case NGHTTP2_DATA:
        case NGHTTP2_HEADERS:
            if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) response_sent(frame.hd.stream_id);
            break;
        case NGHTTP2_RST_STREAM:
            reset_sent(frame.hd.stream_id, frame.rst_stream.error_code);
            break;
        case NGHTTP2_GOAWAY:
            goaway_sent(frame.goaway);
            break;
        default:
            break;
    }
}

/// RFC 9113 section 8.1: the rest of the request is of no use to anybody.
void H2Session::Core::response_sent(std::int32_t id) {
    H2Stream* stream = find(id);
    if (stream == nullptr || stream->ended || stream->tunnel) return;
    stream->our_reset = true;
    submit_reset(*stream, H2Error::no_error);
}

void H2Session::Core::reset_sent(std::int32_t id, std::uint32_t error) {
    const H2Stream* stream = find(id);
    if (stream != nullptr && stream->our_reset) return;
    if (stream == nullptr && error == NGHTTP2_REFUSED_STREAM) {
        counters_.refused();
    } else {
        counters_.reset_forced();
    }
    if (counters_.flood() != H2Flood::none && !ended_) give_up(H2Error::enhance_your_calm);
}

/// A head that nghttp2 cannot send would leave its client waiting. That the stream is gone is no news.
void H2Session::Core::frame_not_sent(const nghttp2_frame& frame) {
    if (frame.hd.type != NGHTTP2_HEADERS) return;
    H2Stream* stream = find(frame.hd.stream_id);
    if (stream == nullptr || stream->muted) return;
    stream->our_reset = true;
    submit_reset(*stream, H2Error::internal_error);
}

}  // namespace palier::http
