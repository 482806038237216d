// A header block of HTTP/2 as it is decoded: field lines collected in memory that several blocks share.
// Thread: worker only. Owner: the worker's H2Workspace, or a session whose block is cut by the end of its
// input.
#pragma once

#include "palier/base/buffer.h"
#include "palier/http/h1_parser.h"
#include "palier/http/message.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace palier::http {

struct H2Stream;

/// A string in H2Lines::bytes, which may move while it grows.
struct H2Span {
    std::uint32_t at = 0;
    std::uint32_t size = 0;
};

/// A field; its line "name: value\r\n" lies at `at`.
struct H2Line {
    std::uint32_t at = 0;
    std::uint32_t name_size = 0;
    std::uint32_t value_size = 0;
    Name known = Name::other;
    bool dropped = false;  // not to be given out: a cookie crumb that another line has taken in
};

struct H2Lines {
    base::Buffer bytes;
    std::vector<H2Line> lines;

    void clear() {
        bytes.clear();
        lines.clear();
    }
    H2Span put(std::string_view text);
    void put_line(std::string_view name, std::string_view value, Name known);
    [[nodiscard]] std::string_view view(H2Span span) const { return {bytes.data() + span.at, span.size}; }
    [[nodiscard]] std::string_view name(const H2Line& line) const {
        return {bytes.data() + line.at, line.name_size};
    }
    [[nodiscard]] std::string_view value(const H2Line& line) const {
        return {bytes.data() + line.at + line.name_size + 2, line.value_size};
    }
};

enum class H2Pseudo : std::uint8_t { method, scheme, authority, path, protocol };
inline constexpr std::size_t kH2Pseudos = 5;

/// One header section, of a request or its trailers.
class H2Block {
  public:
    enum class Added : std::uint8_t { good, far_too_much };

    H2Block() = default;
    H2Block(H2Stream* stream, H2Lines* lines, bool trailers);

    /// Takes the next field; beyond the limits only its size is noted. nghttp2 has checked the characters.
    [[nodiscard]] Added add(std::string_view name, std::string_view value, const HeadLimits& limits);
    /// All fields are there: cookie crumbs become one field (RFC 9113 section 8.2.3). `ends_stream`: nothing
    /// follows the block.
    void finish(bool ends_stream);
    /// RFC 8441 has no Sec-WebSocket-Key, HTTP/1.1 demands one: ours replaces any of the client's.
    void set_websocket_key(std::string_view key);
    /// The block was collected so far in memory that is about to be used anew.
    void move_to(H2Lines* lines);

    [[nodiscard]] H2Stream* stream() const { return stream_; }
    [[nodiscard]] const H2Lines* lines() const { return lines_; }
    [[nodiscard]] bool is_trailers() const { return trailers_; }
    [[nodiscard]] bool ends_stream() const { return ends_stream_; }
    /// Decoded bytes: of each field its name, its value and four more, as HTTP/1 would have them.
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Whether it went beyond the limits, and which.
    [[nodiscard]] bool is_over() const { return over_; }
    [[nodiscard]] Refusal refusal() const { return refusal_; }
    [[nodiscard]] bool has(H2Pseudo pseudo) const { return span(pseudo).size > 0; }
    [[nodiscard]] std::string_view text(H2Pseudo pseudo) const { return lines_->view(span(pseudo)); }
    /// The value of a Content-Length, "" for none.
    [[nodiscard]] std::string_view content_length() const {
        return length_ == kNone ? std::string_view{} : lines_->value(lines_->lines[length_]);
    }
    /// Calls `visit` with each field of the block, verbatim lines all. Views hold until memory is added.
    template <typename Visit>
    void for_each_field(Visit visit) const {
        for (std::size_t i = first_; i < first_ + count_; ++i) {
            const H2Line& line = lines_->lines[i];
            if (line.dropped) continue;
            visit(Field{lines_->name(line), lines_->value(line), line.known, true});
        }
    }

  private:
    static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

    [[nodiscard]] const H2Span& span(H2Pseudo pseudo) const {
        return pseudos_[static_cast<std::size_t>(pseudo)];
    }
    void add_pseudo(std::string_view name, std::string_view value);
    void add_cookie(std::string_view value);
    void join_cookies();

    H2Stream* stream_ = nullptr;
    H2Lines* lines_ = nullptr;
    std::array<H2Span, kH2Pseudos> pseudos_{};
    std::size_t size_ = 0;
    std::size_t fields_ = 0;  // as received, crumbs and discarded ones too
    std::uint32_t first_ = 0;
    std::uint32_t count_ = 0;
    std::uint32_t cookie_ = kNone;  // the first one's line
    std::uint32_t length_ = kNone;  // a Content-Length's line
    bool crumbs_apart_ = false;     // other fields between cookies
    bool trailers_ = false;
    bool ends_stream_ = false;
    bool over_ = false;
    Refusal refusal_{};
};

}  // namespace palier::http
