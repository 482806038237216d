#include "palier/proxy/h2_connection.h"

#include "palier/base/log.h"

#include <algorithm>

namespace palier::proxy {
namespace {

constexpr std::size_t kRead = 64 * 1024;                 // bytes a read, at most
constexpr int kReadsPerTurn = 4;                         // then other connections have theirs
constexpr std::size_t kFrames = 128 * 1024;              // bytes of frames made before they are sent
constexpr std::chrono::milliseconds kLastRequests{500};  // for those on their way to us when we say GOAWAY

http::H2Limits limits_of(const config::Config& config) {
    return {.head = {static_cast<std::size_t>(config.limits.header_size), config.limits.headers},
            .streams = config.limits.streams};
}

std::int32_t id_of(const std::unique_ptr<H2Stream>& stream) {
    return stream->id();
}

}  // namespace

void H2Connection::take_over(ClientConnection& former, std::string_view first) {
    H2Connection& connection = *new H2Connection(former);  // owned by the worker's list
    connection.wait_for(Waiting::request, connection.timeouts().client_header);
    connection.has_output();  // our SETTINGS
    if (!first.empty()) connection.receive(first);
    if (connection.transport_.readable()) connection.on_readable();
}

H2Connection::H2Connection(ClientConnection& former)
    : ClientConnection(former), session_(core_.h2_workspace, limits_of(*core_.snapshot->config)) {}

H2Connection::~H2Connection() = default;

void H2Connection::on_readable() {
    attend_to_streams();
    for (int reads = 0; !broken_ && !dying_ && !stuck() && transport_.readable(); ++reads) {
        if (reads == kReadsPerTurn) {
            go_on_later();
            return;
        }
        char* place = core_.scratch.data();
        const net::IoResult got = transport_.read(place, kRead);
        if (got.status == net::IoStatus::would_block) return;
        if (got.status != net::IoStatus::ok) {
            close();
            return;
        }
        receive({place, got.size});
    }
}

void H2Connection::receive(std::string_view bytes) {
    if (!session_.receive(bytes, core_.loop.now_ms(), *this)) give_up();
    has_output();
    close_ended();  // first: a request that broke in the very read it came with is nobody's to serve
    for (const std::int32_t id : begun_) {
        if (H2Stream* stream = find(id)) stream->start();
    }
    begun_.clear();
    if (!attention_.empty()) go_on_later();
}

/// The client broke the protocol, or did too much of something.
void H2Connection::give_up() {
    dying_ = true;
    const http::H2Flood flood = session_.flood();
    if (flood == http::H2Flood::none) {
        base::log_debug("listener {}: {} broke HTTP/2", listener_->name, peer_.to_string());
        return;
    }
    core_.h2_stats.floods[static_cast<std::size_t>(flood)].fetch_add(1, std::memory_order_relaxed);
    if (core_.flood_log.permit(core_.loop.now_ms())) {
        base::log_warning("listener {}: connection of {} closed: too many HTTP/2 {}", listener_->name,
                          peer_.to_string(), http::text_of(flood));
    }
}

H2Stream& H2Connection::open_stream(std::int32_t id) {
    served_ = true;
    idle_ = false;
    wait_for_nothing();
    begun_.push_back(id);
    return *streams_.emplace_back(std::make_unique<H2Stream>(*this, core_, id));
}

H2Stream* H2Connection::find(std::int32_t id) {
    const auto found = std::ranges::lower_bound(streams_, id, {}, &id_of);
    return found != streams_.end() && (*found)->id() == id ? found->get() : nullptr;
}

void H2Connection::on_request(std::int32_t id, const http::RequestHead& head, std::size_t size) {
    open_stream(id).begin(head, size);
}

void H2Connection::on_refused(std::int32_t id, http::Refusal refusal) {
    const std::uint16_t status = http::status_of(refusal);
    open_stream(id).begin_refused(status, termination_of(status));
}

void H2Connection::on_data(std::int32_t id, std::string_view bytes) {
    if (H2Stream* stream = find(id)) {
        stream->take_data(bytes);
        call_attention(*stream);
    }
}

void H2Connection::on_end(std::int32_t id, std::string_view trailers) {
    if (H2Stream* stream = find(id)) {
        stream->take_end(trailers);
        call_attention(*stream);
    }
}

/// What ends a stream may be found deep in its own exchange: it dies later.
void H2Connection::on_closed(std::int32_t id, http::H2Error error) {
    ended_.emplace_back(id, error);
}

void H2Connection::close_ended() {
    for (std::size_t i = 0; i < ended_.size(); ++i) {
        const auto [id, error] = ended_[i];
        const auto found = std::ranges::lower_bound(streams_, id, {}, &id_of);
        if (found == streams_.end() || (*found)->id() != id) continue;
        if ((*found)->closed(error)) streams_.erase(found);
    }
    ended_.clear();
}

void H2Connection::has_output() {
    if (!LateOutput::linked()) core_.late_outputs.push_back(*this);
}

void H2Connection::call_attention(H2Stream& stream) {
    if (!stream.linked()) attention_.push_back(stream);
    go_on_later();
}

void H2Connection::attend_to_streams() {
    base::IntrusiveList<H2Stream> now;
    now.take_all(attention_);
    while (H2Stream* stream = now.pop_front()) {
        if (!stream->attend()) continue;
        const auto found = std::ranges::lower_bound(streams_, stream->id(), {}, &id_of);
        streams_.erase(found);
        has_output();
    }
}

void H2Connection::on_drained() {
    idle_ = false;
    send_frames();
    if (!stuck() && transport_.readable()) go_on_later();
}

void H2Connection::on_turn_end() {
    if (!closed_ && !broken_) send_frames();
}

void H2Connection::make_frames() {
    base::Buffer& frames = core_.frames_out;
    making_frames_ = true;
    while (!stuck() && session_.has_output()) {
        session_.produce(frames, kFrames, *this);
        if (frames.empty()) break;
        send(frames.data(), frames.data() + frames.size());
        frames.clear();
    }
    making_frames_ = false;
}

void H2Connection::send_now() {
    if (!making_frames_ && !closed_) make_frames();
}

void H2Connection::send_frames() {
    if (core_.stopping || listener_->leaving || (core_.leaving && served_)) wind_down();
    make_frames();
    close_ended();
    if (broken_ || lingering_) return;
    if (stuck()) {
        // Also by what TLS had to answer, which nobody has set a deadline for.
        if (!waits_to_write()) wait_for(Waiting::write, timeouts().client_write);
        return;
    }
    if (!dying_ && session_.flood() != http::H2Flood::none) give_up();
    if (session_.finished() || (dying_ && !session_.has_output())) {
        linger();
    } else if (streams_.empty() && served_ && !std::exchange(idle_, true)) {
        wait_for(Waiting::idle, draining_ ? kLastRequests : timeouts().client_idle);
    }
}

/// RFC 9113 section 6.8: what has begun is finished, nothing new begins.
void H2Connection::drain() {
    draining_ = true;
    session_.go_away();
}

void H2Connection::wind_down() {
    if (draining_ || dying_ || lingering_) return;
    drain();
    idle_ = false;
    if (streams_.empty()) wait_for(Waiting::idle, kLastRequests);
    has_output();
}

void H2Connection::on_deadline(Waiting) {
    if (!draining_) {
        wind_down();
        return;
    }
    // The client has not answered that it knows: no more requests are to be expected.
    session_.go_away();
    dying_ = true;
    has_output();
}

void H2Connection::on_close(Termination reason) {
    LateOutput::unlink();
    for (const auto& stream : streams_)
        stream->gone(reason);
    streams_.clear();
}

}  // namespace palier::proxy
