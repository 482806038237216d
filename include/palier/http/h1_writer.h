// HTTP/1 heads written from the parsed message: nothing of the received framing is relayed.
// Thread: worker only; pure. Every function appends to `out`.
#pragma once

#include "palier/base/buffer.h"
#include "palier/http/message.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace palier::http {

/// What the proxy knows of the client, for X-Forwarded-* and X-Request-Id.
struct ClientView {
    std::string_view address;         // its IP address as text
    std::string_view scheme;          // "http" or "https"
    std::string_view port;            // the listener's port as text
    std::string_view request_id;      // used unless a trusted one came with the request; "" writes none
    bool trusted = false;             // its own X-Forwarded-*, Forwarded and X-Request-Id are believed
    std::string_view default_host{};  // Host for an HTTP/1.0 request that named none; may be ""
    std::string_view subject{};       // of its verified certificate, for X-Client-Subject; "" for none
};

/// Appends the request head for a backend: request line with `path` (HTTP/1.1 always), Host from the
/// authority, the fields with hop-by-hop ones left out (RFC 9110 section 7.6.1; Connection cannot name away
/// Host, Content-Length, Transfer-Encoding, X-Forwarded-*, Forwarded or Cookie), the X-Forwarded-* family,
/// framing as `body` says, "Expect: 100-continue" where the head expects it, Connection: Upgrade only for an
/// upgrade, "TE: trailers" (with the Connection: TE that RFC 9110 section 10.1.4 demands) where the client
/// sent it and nothing is upgraded, the empty line. From an untrusted client every spelling of the forwarded
/// family is dropped and ours is written. From a trusted one X-Forwarded-For is extended, the others are kept
/// where present (X-Forwarded-Proto and its kind once) and added where absent; odd spellings are dropped all
/// the same.
void write_request_head(base::Buffer& out, const RequestHead& head, std::string_view path, BodyLength body,
                        const ClientView& client);

struct ResponseFraming {
    BodyLength body{};          // as it will be sent to the client; chunked only to HTTP/1.1
    std::uint8_t minor = 1;     // the client's version
    bool keep_alive = true;     // whether the client's connection stays open
    bool head_request = false;  // HEAD: the Content-Length of the backend is kept, no body follows
    std::string_view hsts{};    // the line of Strict-Transport-Security that replaces the backend's; or ""
};

/// Appends the response head for a client: status line HTTP/1.1, the backend's fields without hop-by-hop
/// ones, framing as given (nothing for 1xx and 204; for HEAD and 304 the backend's Content-Length stays;
/// where no body follows another status, Content-Length: 0), "Connection: close" or, for HTTP/1.0,
/// "Connection: keep-alive". A 1xx has no Connection field, but 101 has the Upgrade field and Connection:
/// Upgrade.
void write_response_head(base::Buffer& out, const ResponseHead& head, const ResponseFraming& framing);

/// A chunk's size line: hexadecimal digits and CRLF, at most 18 bytes; returns the length written at `out`.
std::size_t write_chunk_size(char* out, std::size_t size);

}  // namespace palier::http
