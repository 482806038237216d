// Dialogue: what one probe says over its connection once that is open, and what it makes of the answers. No I/O:
// bytes in, bytes out, so that every answer can be tested, split and garbled as one likes.
// Thread: control only. Owner: the probe that speaks it, for its time.
#pragma once

#include "palier/config/config.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace palier::health {

/// What a probe has found. Cheap where it is good: no text.
struct Result {
    bool well = false;
    bool unreachable = false;  // not so much as a connection
    std::string reason;        // in words when not: "HTTP 503, expected 200-399", "closed before it answered"
};

class Dialogue {
  public:
    enum class Step : std::uint8_t {
        more,  // say what say() has, then wait for bytes
        done,  // result() is the verdict
    };

    virtual ~Dialogue() = default;

    /// What is to be sent now; "" for nothing. Taken once: the next call gives what came since. At most a few
    /// KiB. After `done` it may be a farewell: the verdict stands whether or not the socket takes it, but it
    /// is worth one try before the connection is closed (MySQL logs clients that leave without a word).
    [[nodiscard]] virtual std::string take_output() = 0;
    /// Bytes from the server, in whatever pieces; at least one. After `done` they change nothing.
    [[nodiscard]] virtual Step on_bytes(std::string_view bytes) = 0;
    /// The server has closed its side before a verdict: that may be the body's proper end. Always `done`.
    [[nodiscard]] virtual Step on_close() = 0;
    /// Where it stands, for the reason of a timeout: "no answer", "half a greeting", "an unfinished head".
    /// "no answer" until the first byte came.
    [[nodiscard]] virtual std::string_view stage() const = 0;
    /// After `done`.
    [[nodiscard]] virtual const Result& result() const = 0;
    /// After `done`: the connection may carry another probe (keep_alive and a clean end).
    [[nodiscard]] virtual bool reusable() const = 0;
};

// `config` must outlive the dialogue. A dialogue never holds more than a head of 32 KiB, or a packet of
// 64 KiB, whatever the server sends.

/// One HTTP/1.1 request and its answer, of whose body the first 64 KiB are enough. A redirect is its status, never followed. A Content-Encoding is not undone: expect_body is looked
/// for in what comes over the wire (the request has no Accept-Encoding). `host`: for the Host field, unless
/// the configuration names another.
[[nodiscard]] std::unique_ptr<Dialogue> make_http_dialogue(const config::HealthConfig& config,
                                                           std::string_view host);
/// The client's side of a MySQL or MariaDB handshake, and with a user what `config` asks of the server. TLS is
/// not spoken: it must be left off for probes of this type.
[[nodiscard]] std::unique_ptr<Dialogue> make_mysql_dialogue(const config::HealthConfig& config);

}  // namespace palier::health
