// ClientStream: the client's side of one exchange, whatever protocol it speaks. HTTP/1 has one at a time on a
// connection (h1_connection), HTTP/2 many (h2_stream).
//
// The exchange hands over what it has and asks blocked() before it fetches more. Nothing here calls the
// exchange back before it returns, but for finish_exchange().
//
// Thread: worker only. Owner: the client connection.
#pragma once

#include "palier/base/buffer.h"
#include "palier/base/ip.h"
#include "palier/http/message.h"
#include "palier/net/pipe.h"
#include "palier/proxy/listener_facts.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace palier::proxy {

/// What becomes of a client's connection after an answer; an HTTP/2 stream just ends.
enum class After : std::uint8_t {
    keep_alive,  // the next request may follow
    close,       // the client knows that it is over and has nothing more to send
    linger,      // the client may still be sending
};

/// How the body of a response goes to the client.
struct ResponseTerms {
    http::Framing framing = http::Framing::none;  // what write_body() is to be given: chunked, or plain bytes
    bool keep_alive = true;                       // may another request follow
};

/// Bytes of a response that are worth fetching at a time.
struct Appetite {
    std::size_t first;
    std::size_t most;  // where the first came in whole, and the client keeps up
};

class ClientStream {
  public:
    [[nodiscard]] virtual const ListenerFacts& listener() const = 0;
    [[nodiscard]] virtual const base::SocketAddress& peer() const = 0;
    /// The subject of the client's verified certificate; "" for none.
    [[nodiscard]] virtual std::string_view subject() const = 0;
    /// As the access log says it: "HTTP/1.1".
    [[nodiscard]] virtual std::string_view protocol() const = 0;

    // The answer. Each returns how many bytes it made of it.

    /// A whole answer of palier's own, as an HTTP/1 message; `message` is empty afterwards.
    virtual std::size_t answer(base::Buffer& message, bool head_request) = 0;
    /// A 1xx response other than 101.
    virtual std::size_t inform(const http::ResponseHead& head) = 0;
    /// The final head. It is sent with the first write_body(), which must follow.
    [[nodiscard]] virtual ResponseTerms start_response(const http::ResponseHead& head, bool keep_alive,
                                                       bool head_request) = 0;
    /// Forgets the head that start_response() was given, of which nothing is sent yet.
    virtual void drop_response() = 0;
    /// [begin, end), framed as start_response() said; `room` bytes behind it and Scratch::kHeadroom before it
    /// may be overwritten. `ended`: the body is complete, with these trailer lines.
    virtual std::size_t write_body(char* begin, char* end, std::size_t room, bool ended,
                                   std::string_view trailers) = 0;
    /// A 101: from here on write_tunnel() takes whatever comes.
    virtual std::size_t start_tunnel(const http::ResponseHead& head, std::string_view rest) = 0;
    virtual void write_tunnel(const char* begin, const char* end) = 0;
    /// No more will come out of the tunnel.
    virtual void end_tunnel() = 0;

    /// There are bytes that could not be sent yet, or the client is lost: give no more for now.
    [[nodiscard]] virtual bool blocked() const = 0;
    [[nodiscard]] virtual Appetite appetite() const = 0;
    /// Whether take_from() may be used.
    [[nodiscard]] virtual bool takes_pipes() const = 0;
    /// Sends what `pipe` holds; while it could not send all, it is blocked. Returns the bytes sent.
    virtual std::size_t take_from(net::Pipe& pipe) = 0;

    /// The exchange wants request body bytes again, after it did not.
    virtual void resume_body() = 0;
    /// The exchange has nothing more to do.
    virtual void finish_exchange(After after) = 0;
    /// Ends it in the middle of an answer, so that the client can tell.
    virtual void cut() = 0;

  protected:
    ~ClientStream() = default;
};

}  // namespace palier::proxy
