// The receiver hears what nghttp2 has found, after it has returned.
#include "http/h2_core.h"
#include "http/h2_head.h"
#include "http/trailer.h"

namespace palier::http {

/// Once the connection is given up, by nghttp2 or by the receiver itself, only streams' ends are told, and
/// those by produce().
void H2Session::Core::dispatch(H2Receiver& receiver) {
    for (const H2Event& event : records_.events) {
        if (!ended_) {
            dispatch_event(event, receiver);
        } else if (event.kind == H2Event::Kind::closed) {
            defer_closed(event.stream);
        }
    }
}

void H2Session::Core::dispatch_event(const H2Event& event, H2Receiver& receiver) {
    H2Stream& stream = *event.stream;
    const bool heard = stream.announced && !stream.muted;
    switch (event.kind) {
        case H2Event::Kind::head:
            dispatch_head(stream, records_.blocks[event.block], receiver);
            break;
        case H2Event::Kind::data:
            if (heard) receiver.on_data(stream.id, event.data);
            break;
        case H2Event::Kind::end:
            if (heard && stream.has_body) dispatch_end(stream, event.block, receiver);
            break;
        case H2Event::Kind::failed:
            if (!stream.gone) submit_reset(stream, H2Error::protocol_error);
            tell_closed(stream, H2Error::protocol_error, receiver);
            break;
        case H2Event::Kind::closed:
            tell_closed(stream, stream.error, receiver);
            free_stream(&stream);
            break;
    }
}

void H2Session::Core::dispatch_head(H2Stream& stream, const H2Block& block, H2Receiver& receiver) {
    if (stream.gone) return;  // reset by its client at once: not worth a backend's time
    Refusal refusal = block.refusal();
    if (!block.is_over()) {
        const H2HeadResult result = read_h2_head(block, records_.head);
        if (result.state == H2HeadResult::State::malformed) {
            submit_reset(stream, H2Error::protocol_error);
            return;
        }
        if (result.state == H2HeadResult::State::good) {
            const RequestHead& head = records_.head;
            stream.announced = true;
            stream.tunnel = head.wants_upgrade;
            stream.has_body = stream.tunnel || head.body.framing == Framing::chunked || head.body.length > 0;
            receiver.on_request(stream.id, head, block.size());
            return;
        }
        refusal = result.refusal;
    }
    stream.announced = stream.muted = true;
    receiver.on_refused(stream.id, refusal);
}

void H2Session::Core::dispatch_end(H2Stream& stream, std::uint32_t index, H2Receiver& receiver) {
    records_.trailers.clear();
    if (index != H2Event::kNoBlock) {
        const H2Block& block = records_.blocks[index];
        if (block.is_over()) {
            submit_reset(stream, H2Error::enhance_your_calm);
            return;
        }
        block.for_each_field([this](const Field& field) {
            if (may_be_trailer(field)) append_line(records_.trailers, field);
        });
    }
    receiver.on_end(stream.id, records_.trailers);
}

void H2Session::Core::tell_closed(H2Stream& stream, H2Error error, H2Receiver& receiver) {
    if (!stream.announced || stream.told) return;
    stream.told = true;
    receiver.on_closed(stream.id, error);
}

/// Whether there was anything to tell.
bool H2Session::Core::dispatch_closed(H2Receiver& receiver) {
    if (closed_ == nullptr) return false;
    while (closed_ != nullptr) {
        H2Stream* stream = closed_;
        closed_ = stream->next_closed;
        if (closed_ == nullptr) last_closed_ = &closed_;
        tell_closed(*stream, stream->error, receiver);
        free_stream(stream);
    }
    return true;
}

}  // namespace palier::http
