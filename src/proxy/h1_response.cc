// H1Connection: how an answer is put into HTTP/1.
#include "palier/http/h1_writer.h"
#include "palier/proxy/body_relay.h"
#include "palier/proxy/exchange.h"
#include "palier/proxy/h1_connection.h"
#include "palier/proxy/worker_core.h"

#include <cstring>

namespace palier::proxy {
namespace {

constexpr std::size_t kChunkSizeRoom = 20;
constexpr std::size_t kFirstRead = 64 * 1024;  // more in one send makes the kernel's work dearer, not cheaper

}  // namespace

/// Sends what is in the worker's head_out.
std::size_t H1Connection::send_head_out() {
    base::Buffer& head = core_.head_out;
    const std::size_t size = head.size();
    send(head.data(), head.data() + size);
    head.clear();
    return size;
}

std::size_t H1Connection::answer(base::Buffer& message, bool) {
    const std::size_t size = message.size();
    send(message.data(), message.data() + size);
    message.clear();
    return size;
}

std::size_t H1Connection::inform(const http::ResponseHead& head) {
    if (minor_ == 0) return 0;  // RFC 9110 section 15.2: never to an HTTP/1.0 client
    http::write_response_head(core_.head_out, head, {.body = {}, .minor = minor_});
    return send_head_out();
}

ResponseTerms H1Connection::start_response(const http::ResponseHead& head, bool keep_alive,
                                           bool head_request) {
    http::BodyLength body = head.body;
    if (body.framing == http::Framing::chunked || body.framing == http::Framing::until_close) {
        body.framing = minor_ == 1 ? http::Framing::chunked : http::Framing::until_close;
    }
    framing_ = body.framing;
    const bool stays = keep_alive && framing_ != http::Framing::until_close;
    last_ = !stays;
    http::write_response_head(core_.head_out, head,
                              {.body = body,
                               .minor = minor_,
                               .keep_alive = stays,
                               .head_request = head_request,
                               .hsts = listener_->hsts});
    return {framing_, stays};
}

Appetite H1Connection::appetite() const {
    return {.first = kFirstRead, .most = Scratch::kCapacity};
}

void H1Connection::drop_response() {
    core_.head_out.clear();
}

/// One send takes the head, the bytes and the last chunk, where there is room for them around the bytes.
std::size_t H1Connection::write_body(char* begin, char* end, std::size_t room, bool ended,
                                     std::string_view trailers) {
    base::Buffer& head = core_.head_out;
    std::size_t size = 0;
    if (head.size() > Scratch::kHeadroom - kChunkSizeRoom) {
        size += send_head_out();
    } else if (!head.empty()) {
        begin -= head.size();
        std::memcpy(begin, head.data(), head.size());
        head.clear();
    }
    const bool chunked_end = ended && framing_ == http::Framing::chunked;
    const bool fits = chunked_end && last_chunk_size(trailers) <= room;
    if (fits) end = write_last_chunk(end, trailers);
    size += static_cast<std::size_t>(end - begin);
    if (begin != end) send(begin, end, last_ && ended && (fits || !chunked_end));
    if (chunked_end && !fits) {
        append_last_chunk(head, trailers);
        size += send_head_out();
    }
    return size;
}

std::size_t H1Connection::start_tunnel(const http::ResponseHead& head, std::string_view rest) {
    http::write_response_head(core_.head_out, head, {.body = {}, .minor = minor_, .hsts = listener_->hsts});
    core_.head_out.append(rest);
    return send_head_out();
}

}  // namespace palier::proxy
