// HTTP/2, the server's side of one connection (RFC 9113): bytes in, events out; heads and bodies in, bytes
// out. No I/O. nghttp2 stays behind this header. Every stream's request comes out as the same RequestHead
// that the HTTP/1 parser makes, checked so strictly that it can be written as HTTP/1 (section 8.2, 8.3, 10.3).
//
// nghttp2's callbacks only record. The receiver is called after nghttp2 has returned, so it may call every
// method here but receive() and destroy nothing but what is its own.
//
// Thread: worker only. Owner: the client connection. Ends: with it.
#pragma once

#include "palier/base/buffer.h"
#include "palier/http/h1_parser.h"
#include "palier/http/message.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

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
    resets,          // RST_STREAM received
    forced_resets,   // streams that it made us reset
    continuations,   // CONTINUATION frames, or header bytes or fields of one block far beyond the limit
    settings,
    pings,
    empty_frames,    // DATA or HEADERS without content that do not end a stream
    priorities,      // PRIORITY, PRIORITY_UPDATE
    window_updates,
    queue,           // control frames and answers that it does not read
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

/// Hears what receive() found, in the order in which it happened. A stream id that was closed() never comes
/// again.
class H2Receiver {
  public:
    /// A complete request head; views live for this call only. `fields` are verbatim lines; several cookies
    /// are one. `head.body` is `none` if the stream has ended with it, `length` with Content-Length, else
    /// `chunked`. An extended CONNECT for "websocket" (RFC 8441) comes as a GET that wants that upgrade.
    /// `size`: decoded bytes of the head.
    virtual void on_request(std::int32_t stream, const RequestHead& head, std::size_t size) = 0;
    /// A request that cannot be served but is answered on its own stream (RFC 9113 section 8.1.1 allows a
    /// response before the reset): a head over the limits, a method that is not supported.
    virtual void on_refused(std::int32_t stream, Refusal refusal) = 0;
    /// Body bytes; a view into the input. To be given back with consume() as they are used.
    virtual void on_data(std::int32_t stream, std::string_view bytes) = 0;
    /// The client ended the stream properly. `trailers` are checked lines for HTTP/1, "" for none.
    virtual void on_end(std::int32_t stream, std::string_view trailers) = 0;
    /// The stream is gone: reset by either side, or both directions ended.
    virtual void on_closed(std::int32_t stream, H2Error error) = 0;

  protected:
    ~H2Receiver() = default;
};

class H2Session {
  public:
    /// `extended_connect`: offers SETTINGS_ENABLE_CONNECT_PROTOCOL. The server's SETTINGS are the first bytes
    /// that produce() gives.
    H2Session(H2Workspace& workspace, const H2Limits& limits);
    ~H2Session();
    H2Session(const H2Session&) = delete;
    H2Session& operator=(const H2Session&) = delete;

    /// Takes all of `bytes`, from the client's preface on. False: the connection is finished; produce() still
    /// has its GOAWAY. `now_ms`: monotonic, for the floods' windows.
    [[nodiscard]] bool receive(std::string_view bytes, std::uint64_t now_ms, H2Receiver& receiver);
    /// Why receive() gave up, if it was a flood.
    [[nodiscard]] H2Flood flood() const;

    /// Submits a response's head. Hop-by-hop fields are left out, names sent in lower case. `source` gives the
    /// body and must live until on_closed() or reset(); null: no body follows. A 101 becomes the 200 of an
    /// extended CONNECT. Content-Length is sent where `body` has one, or where `head_request` says that the
    /// backend's counts. `extra_fields`: lines ("Name: value\r\n") added at the end.
    void respond(std::int32_t stream, const ResponseHead& head, BodyLength body, bool head_request,
                 std::string_view extra_fields, H2Source* source);
    /// Submits a 1xx response, never 101 (RFC 9113 section 8.6).
    void inform(std::int32_t stream, const ResponseHead& head);
    /// The source of `stream` has more, or has ended.
    void resume(std::int32_t stream);
    /// Resets a stream; its source is not asked again. `blame`: the client made us do it, which counts as
    /// H2Flood::forced_resets.
    void reset(std::int32_t stream, H2Error error, bool blame = false);
    /// Body bytes were used: the client may send as many more on this stream.
    void consume(std::int32_t stream, std::size_t size);

    /// Graceful end (RFC 9113 section 6.8): streams in flight finish, new ones are refused.
    void go_away();
    /// Ends the connection as soon as produce() was sent.
    void terminate(H2Error error);

    /// Appends frames to `out` until there are none or `out` holds `enough` bytes.
    void produce(base::Buffer& out, std::size_t enough);
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
