// HTTP/1 heads: bytes in, a checked message out (RFC 9112, and stricter: anything on which two parsers could
// disagree is refused).
//
// A head is parsed when whole lines of it are there, from one contiguous piece of memory, so that fields are
// views into it and no state outlives a call. A caller whose head is incomplete keeps the bytes and calls
// again with all of them and more; the verdict is a function of the bytes, not of how they were cut.
//
// Thread: worker only. Owner: the worker; one parser serves all its connections.
#pragma once

#include "palier/http/message.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace palier::http {

struct HeadLimits {
    std::size_t size = 32 * 1024;  // bytes of the whole head
    std::size_t fields = 128;
};

/// Why a head was refused. The status to answer is status_of(); the text is for logs.
enum class Refusal : std::uint8_t {
    bad_request_line,
    bad_method,  // CONNECT, 405: palier is no forward proxy
    bad_target,
    target_too_long,  // 414
    bad_version,      // 505 for HTTP/2.0 and the like, spoken as HTTP/1
    bad_status_line,
    bad_field,        // name, value, folding, bare CR or LF, NUL, space before the colon
    head_too_large,   // 431, or 502 from a backend
    too_many_fields,  // 431, or 502 from a backend
    missing_host,
    several_hosts,
    bad_host,
    bad_content_length,     // not digits, several (even if they agree), overflow
    length_and_encoding,    // Content-Length together with Transfer-Encoding
    bad_transfer_encoding,  // any coding but one final chunked; TE in HTTP/1.0
    bad_upgrade,            // a body together with an upgrade, or several Upgrade fields
    bad_expectation,        // 417
    unexpected_switch,      // 101 that nobody asked for
};

[[nodiscard]] std::uint16_t status_of(Refusal refusal);  // towards a client
[[nodiscard]] std::string_view text_of(Refusal refusal);

enum class HeadState : std::uint8_t { incomplete, complete, refused };

struct HeadResult {
    HeadState state = HeadState::incomplete;
    std::size_t consumed = 0;  // bytes of the head with its empty line, when complete
    Refusal refusal{};         // when refused
};

/// Parses request heads. `head()` stays valid until the next call of parse(), and means something only after
/// HeadState::complete.
class RequestParser {
  public:
    explicit RequestParser(HeadLimits limits) : limits_(limits) {}

    /// `bytes`: all that has arrived since the first byte of the message; at most two leading empty lines are
    /// skipped (RFC 9112 section 2.2). `seen`: how much of it was there at the last call, 0 at the first.
    [[nodiscard]] HeadResult parse(std::string_view bytes, std::size_t seen);

    [[nodiscard]] const RequestHead& head() const { return head_; }
    void set_limits(HeadLimits limits) { limits_ = limits; }

  private:
    HeadLimits limits_;
    RequestHead head_;
};

/// Parses response heads of any status from 100 to 999, 1xx included; as RequestParser otherwise.
class ResponseParser {
  public:
    explicit ResponseParser(HeadLimits limits) : limits_(limits) {}

    /// `request`: the method that is being answered (HEAD has no body); `upgrade_asked`: whether 101 may
    /// come.
    [[nodiscard]] HeadResult parse(std::string_view bytes, std::size_t seen, Method request,
                                   bool upgrade_asked);

    [[nodiscard]] const ResponseHead& head() const { return head_; }
    void set_limits(HeadLimits limits) { limits_ = limits; }

  private:
    HeadLimits limits_;
    ResponseHead head_;
};

}  // namespace palier::http
