// HTTP/2, the server's side of one connection (RFC 9113): bytes in, events out; heads and bodies in, bytes
// out. No I/O. nghttp2 stays behind this header. Every stream's request comes out as the same RequestHead
// that the HTTP/1 parser makes, checked so strictly that it can be written as HTTP/1
// (section 8.2, 8.3, 10.3).
//
// nghttp2's callbacks only record. The receiver is called after nghttp2 has returned, so it may call every
// method here but receive() and produce(), and destroy nothing but what is its own.
//
// Thread: worker only. Owner: the client connection. Ends: with it, without a word to the receiver.
#pragma once

#include "palier/base/buffer.h"
#include "palier/http/h1_parser.h"
#include "palier/http/message.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace palier::http {

/// RFC 9113 section 7.
enum class H2Error : std::uint32_t {
    no_error = 0x0,
    protocol_error = 0x1,
    internal_error = 0x2,
    flow_control_error = 0x3,
    stream_closed = 0x5,
    refused_stream = 0x7,
    cancel = 0x8,
    enhance_your_calm = 0xb,
    http_1_1_required = 0xd,
};

/// What a client did too much of. Each ends the connection with GOAWAY ENHANCE_YOUR_CALM.
enum class H2Flood : std::uint8_t {
    none,
    resets,         // RST_STREAM received
    forced_resets,  // streams that it made us reset
    continuations,  // CONTINUATION frames, or header bytes or fields of one block far beyond the limit
    settings,
    pings,
    empty_frames,  // DATA or HEADERS without content that do not end a stream
    priorities,    // PRIORITY, PRIORITY_UPDATE
    window_updates,
    queue,  // control frames and answers that it does not read
};
inline constexpr std::size_t kH2Floods = 10;
[[nodiscard]] std::string_view text_of(H2Flood flood);

struct H2Limits {
    HeadLimits head;              // decoded; each cookie crumb counts as a field
    std::uint32_t streams = 100;  // at a time
};

/// Scratch memory that all sessions of a worker share: it holds bytes only during receive().
class H2Workspace {
  public:
    H2Workspace();
    ~H2Workspace();
    H2Workspace(const H2Workspace&) = delete;
    H2Workspace& operator=(const H2Workspace&) = delete;

  private:
    friend class H2Session;
    struct Records;
    std::unique_ptr<Records> records_;
};

/// The body of a response on its way out: nghttp2 asks for as much as flow control allows.
class H2Source {
  public:
    /// Bytes that could be sent now.
    [[nodiscard]] virtual std::size_t available() const = 0;
    /// Whether available() is all that will ever come.
    [[nodiscard]] virtual bool ended() const = 0;
    /// Trailer lines ("Name: value\r\n" each) to send after the end; "" for none.
    [[nodiscard]] virtual std::string_view trailers() const = 0;
    /// Moves `size` <= available() bytes to the end of `out`.
    virtual void take(base::Buffer& out, std::size_t size) = 0;

  protected:
    ~H2Source() = default;
};

/// Hears what receive() found, in the order in which it happened. Each stream that on_request() or
/// on_refused() named ends with exactly one on_closed(), unless the session is destroyed before; its id never
/// comes again. A request that its client reset before receive() returned is not heard of at all.
class H2Receiver {
  public:
    /// A complete request head; views live for this call only. `fields` are verbatim lines; several cookies
    /// are one. `head.body` is `none` if the stream has ended with it (`length` 0 if it said so), `length`
    /// with Content-Length, else `chunked`. An extended CONNECT for "websocket" (RFC 8441) comes as a GET
    /// that wants that upgrade, with a Sec-WebSocket-Key of ours. `size`: decoded bytes of the head.
    virtual void on_request(std::int32_t stream, const RequestHead& head, std::size_t size) = 0;
    /// A request that cannot be served but is answered on its own stream (RFC 9113 section 8.1.1 allows a
    /// response before the reset): a head over the limits, a method that is not supported.
    virtual void on_refused(std::int32_t stream, Refusal refusal) = 0;
    /// Body bytes; a view into the input. To be given back with consume() as they are used.
    virtual void on_data(std::int32_t stream, std::string_view bytes) = 0;
    /// The client ended the stream properly. `trailers` are checked lines for HTTP/1, "" for none. Does not
    /// come where nothing was to follow the head: body `none`, or a `length` of 0.
    virtual void on_end(std::int32_t stream, std::string_view trailers) = 0;
    /// The stream is gone: reset by either side, or both directions ended. Its source is not asked again.
    virtual void on_closed(std::int32_t stream, H2Error error) = 0;

  protected:
    ~H2Receiver() = default;
};

class H2Session {
  public:
    /// The server's SETTINGS are the first bytes that produce() gives. The workspace outlives its sessions.
    H2Session(H2Workspace& workspace, const H2Limits& limits);
    ~H2Session();
    H2Session(const H2Session&) = delete;
    H2Session& operator=(const H2Session&) = delete;

    /// Takes all of `bytes`, from the client's preface on. False: the connection is finished; produce() still
    /// has its GOAWAY. Of some errors of the connection nghttp2 tells nobody: then it is finished() after the
    /// next produce(). `now_ms`: monotonic, for the floods' windows.
    [[nodiscard]] bool receive(std::string_view bytes, std::uint64_t now_ms, H2Receiver& receiver);
    /// Why receive() or produce() gave up, if it was a flood.
    [[nodiscard]] H2Flood flood() const;

    /// Submits a response's head. Hop-by-hop fields are left out, names sent in lower case. `source` gives
    /// the body and must live until on_closed() or reset(); null: no body follows. A 101 becomes the 200 of
    /// an extended CONNECT, and any 2xx to one a 502, for it would mean the same. Content-Length is sent
    /// where `body` has one, or where `head_request` says that the backend's counts. `hsts`: the line of
    /// Strict-Transport-Security that replaces the backend's, or "". When the response is out but the request
    /// is not all there, the client is told to stop (RST_STREAM NO_ERROR, RFC 9113 section 8.1), unless it is
    /// a tunnel.
    void respond(std::int32_t stream, const ResponseHead& head, BodyLength body, bool head_request,
                 std::string_view hsts, H2Source* source);
    /// Submits a 1xx response, never 101 (RFC 9113 section 8.6).
    void inform(std::int32_t stream, const ResponseHead& head);
    /// Nobody is behind the tunnel of `stream` any more: once all is sent, its client is told to stop.
    void end_tunnel(std::int32_t stream);
    /// The source of `stream` has more, or has ended.
    void resume(std::int32_t stream);
    /// Resets a stream; its source is not asked again. `blame`: the client made us do it, which counts as
    /// H2Flood::forced_resets.
    void reset(std::int32_t stream, H2Error error, bool blame = false);
    /// Body bytes were used: the client may send as many more on this stream.
    void consume(std::int32_t stream, std::size_t size);

    /// Graceful end (RFC 9113 section 6.8): streams in flight finish, new ones are refused. First comes a
    /// GOAWAY that names no last stream, with a PING; the real one when the client has answered that, so that
    /// no request on its way is lost, or at the second call.
    void go_away();
    /// Ends the connection as soon as produce() was sent.
    void terminate(H2Error error);

    /// Appends frames to `out` until there are none or `out` holds `enough` bytes. What has left this way may
    /// end streams: the receiver hears on_closed(), nothing else.
    void produce(base::Buffer& out, std::size_t enough, H2Receiver& receiver);
    /// Whether produce() would give anything now.
    [[nodiscard]] bool has_output() const;
    /// Nothing is left to read or write, streams included: the connection may be closed.
    [[nodiscard]] bool finished() const;
    /// Bytes that flow control lets us send on `stream` now.
    [[nodiscard]] std::size_t window(std::int32_t stream) const;

  private:
    class Core;
    std::unique_ptr<Core> core_;
};

}  // namespace palier::http
