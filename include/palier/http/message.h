// The message model that every HTTP version shares: heads whose strings are views, and body lengths.
// Thread: worker only. Owner: views point into the buffer that was parsed, and die with it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace palier::http {

/// Methods that the proxy treats specially; any other token is `extension` (RFC 9110 section 9).
enum class Method : std::uint8_t { get, head, post, put, delete_, options, trace, patch, connect, extension };

/// Methods are case-sensitive: "get" is an extension.
[[nodiscard]] Method method_of(std::string_view token);
/// RFC 9110 section 9.2.2: GET, HEAD, PUT, DELETE, OPTIONS, TRACE.
[[nodiscard]] bool is_idempotent(Method method);

/// Fields that a rule of ours names. Recognised once, when the head is parsed; all else is `other`.
enum class Name : std::uint8_t {
    other,
    accept,
    connection,
    content_length,
    content_type,
    cookie,
    date,
    expect,
    forwarded,
    host,
    http2_settings,
    keep_alive,
    location,
    proxy_authenticate,
    proxy_authorization,
    proxy_connection,
    referer,
    server,
    strict_transport_security,
    te,
    trailer,
    transfer_encoding,
    upgrade,
    user_agent,
    x_client_subject,
    x_forwarded_for,
    x_forwarded_host,
    x_forwarded_port,
    x_forwarded_proto,
    x_forwarded_other,  // any other x-forwarded-…
    x_real_ip,
    x_request_id,
};

/// Case-insensitive. For the forwarded family (X-Forwarded-…, X-Real-IP, X-Request-Id, X-Client-Subject) also
/// with any other sign in place of '-', as applications that see CGI variables would read them:
/// X_Forwarded_Proto, X.Real.IP.
[[nodiscard]] Name name_of(std::string_view field_name);

/// False where name_of() recognised a member of the forwarded family in a spelling of that kind.
[[nodiscard]] bool is_canonical_spelling(Name known, std::string_view field_name);

/// Whether `known` tells applications where a request came from: X-Forwarded-…, Forwarded, X-Real-IP,
/// X-Request-Id, X-Client-Subject.
[[nodiscard]] bool is_forwarded_family(Name known);

struct Field {
    std::string_view name;   // as sent
    std::string_view value;  // without surrounding white space
    Name known = Name::other;
    /// The memory around the views holds exactly "name: value\r\n", so that a writer may copy neighbouring
    /// lines in one piece. Set by the HTTP/1 parser alone; false again where a view is made to point
    /// elsewhere.
    bool verbatim = false;
};

enum class Framing : std::uint8_t {
    none,        // no body
    length,      // Content-Length
    chunked,     // Transfer-Encoding: chunked
    until_close  // responses only
};

struct BodyLength {
    Framing framing = Framing::none;
    std::uint64_t length = 0;  // bytes, with Framing::length
};

struct RequestHead {
    Method method = Method::get;
    std::string_view method_token;
    std::string_view target;     // as sent: origin-form, absolute-form or "*"
    std::string_view authority;  // of an absolute-form target, else the Host field; "" only in HTTP/1.0
    std::string_view host;       // of `authority`: without port, brackets kept, case as sent
    std::string_view path;       // origin part of the target: "/…" with its query, or "*"
    std::uint8_t minor = 1;      // HTTP/1.minor
    BodyLength body;
    bool keep_alive = true;         // what version and Connection say (RFC 9112 section 9.3)
    bool expects_continue = false;  // HTTP/1.1, Expect: 100-continue and a body to wait with
    bool wants_upgrade = false;  // HTTP/1.1, Connection: upgrade, an Upgrade field (not to HTTP/2), no body
    std::string_view upgrade;    // the Upgrade field's value, with wants_upgrade
    std::vector<Field> fields;   // in order, all of them; repeated ones stay apart
};

struct ResponseHead {
    std::uint16_t status = 0;
    std::string_view reason;
    std::uint8_t minor = 1;
    BodyLength body;         // what follows this head, given the method of its request
    bool keep_alive = true;  // what version, Connection and framing say; false where more bytes may follow
    std::vector<Field> fields;
};

}  // namespace palier::http
