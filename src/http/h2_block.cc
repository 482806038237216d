#include "http/h2_block.h"

#include <algorithm>
#include <cstring>

namespace palier::http {
namespace {

/// Times the limits of a head after which the whole connection is given up: what its fields are decoded for
/// is an answer 431, and even that has a price.
constexpr std::size_t kFarTooMuch = 4;

constexpr std::string_view kCookie = "cookie";

[[nodiscard]] std::uint32_t narrow(std::size_t size) {
    return static_cast<std::uint32_t>(size);
}

}  // namespace

H2Span H2Lines::put(std::string_view text) {
    const H2Span span{narrow(bytes.size()), narrow(text.size())};
    bytes.append(text);
    return span;
}

void H2Lines::put_line(std::string_view name, std::string_view value, Name known) {
    lines.push_back({narrow(bytes.size()), narrow(name.size()), narrow(value.size()), known, false});
    const std::size_t size = name.size() + value.size() + 4;
    char* at = bytes.reserve(size);
    std::memcpy(at, name.data(), name.size());
    at += name.size();
    std::memcpy(at, ": ", 2);
    at += 2;
    std::memcpy(at, value.data(), value.size());
    std::memcpy(at + value.size(), "\r\n", 2);
    bytes.commit(size);
}

H2Block::H2Block(H2Stream* stream, H2Lines* lines, bool trailers)
    : stream_(stream), lines_(lines), first_(narrow(lines->lines.size())), trailers_(trailers) {}

H2Block::Added H2Block::add(std::string_view name, std::string_view value, const HeadLimits& limits) {
    size_ += name.size() + value.size() + 4;
    const bool pseudo = name.starts_with(':');
    if (!pseudo) ++fields_;
    if (size_ > limits.size || fields_ > limits.fields) {
        if (!over_) refusal_ = size_ > limits.size ? Refusal::head_too_large : Refusal::too_many_fields;
        over_ = true;
        const bool far = size_ > kFarTooMuch * limits.size || fields_ > kFarTooMuch * limits.fields;
        return far ? Added::far_too_much : Added::good;
    }
    if (pseudo) {
        add_pseudo(name, value);
        return Added::good;
    }
    const Name known = name_of(name);
    if (known == Name::cookie && cookie_ != kNone) {
        add_cookie(value);
        return Added::good;
    }
    if (known == Name::cookie) cookie_ = first_ + count_;
    if (known == Name::content_length) length_ = first_ + count_;
    lines_->put_line(name, value, known);
    ++count_;
    return Added::good;
}

/// nghttp2 lets only the five of a request pass, once each, and before the fields.
void H2Block::add_pseudo(std::string_view name, std::string_view value) {
    constexpr std::array<std::string_view, kH2Pseudos> kNames{":method", ":scheme", ":authority", ":path",
                                                              ":protocol"};
    const auto* found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end()) return;
    pseudos_[static_cast<std::size_t>(found - kNames.begin())] = lines_->put(value);
}

/// Crumbs mostly follow each other, and then grow the line that is the last anyway.
void H2Block::add_cookie(std::string_view value) {
    if (cookie_ + 1 == first_ + count_) {
        base::Buffer& bytes = lines_->bytes;
        char* at = bytes.reserve(value.size() + 2) - 2;  // over the line's end
        std::memcpy(at, "; ", 2);
        std::memcpy(at + 2, value.data(), value.size());
        std::memcpy(at + 2 + value.size(), "\r\n", 2);
        bytes.commit(value.size() + 2);
        lines_->lines[cookie_].value_size += narrow(value.size() + 2);
        return;
    }
    crumbs_apart_ = true;
    lines_->put_line(kCookie, value, Name::cookie);
    ++count_;
}

void H2Block::finish(bool ends_stream) {
    ends_stream_ = ends_stream;
    if (crumbs_apart_) join_cookies();
}

void H2Block::join_cookies() {
    H2Line& first = lines_->lines[cookie_];
    std::size_t size = kCookie.size() + 4 + first.value_size;
    for (std::size_t i = cookie_ + 1; i < first_ + count_; ++i) {
        H2Line& line = lines_->lines[i];
        if (line.known != Name::cookie) continue;
        line.dropped = true;
        size += 2 + line.value_size;
    }
    // With the room reserved, what is appended does not move what is read.
    base::Buffer& bytes = lines_->bytes;
    static_cast<void>(bytes.reserve(size));
    const auto at = narrow(bytes.size());
    bytes.append(kCookie);
    bytes.append(": ");
    bytes.append(lines_->value(first));
    for (std::size_t i = cookie_ + 1; i < first_ + count_; ++i) {
        const H2Line& line = lines_->lines[i];
        if (line.known != Name::cookie) continue;
        bytes.append("; ");
        bytes.append(lines_->value(line));
    }
    bytes.append("\r\n");
    first.at = at;
    first.value_size = narrow(size - kCookie.size() - 4);
}

void H2Block::set_websocket_key(std::string_view key) {
    constexpr std::string_view kName = "sec-websocket-key";
    for (std::size_t i = first_; i < first_ + count_; ++i) {
        H2Line& line = lines_->lines[i];
        if (lines_->name(line) == kName) line.dropped = true;
    }
    lines_->put_line(kName, key, Name::other);
    ++count_;
}

void H2Block::move_to(H2Lines* lines) {
    const auto copy = [&](H2Span span) { return lines->put(lines_->view(span)); };
    const auto new_first = narrow(lines->lines.size());
    for (H2Span& span : pseudos_)
        span = copy(span);
    for (std::size_t i = first_; i < first_ + count_; ++i) {
        const H2Line& line = lines_->lines[i];
        lines->put_line(lines_->name(line), lines_->value(line), line.known);
    }
    if (cookie_ != kNone) cookie_ = new_first + (cookie_ - first_);
    if (length_ != kNone) length_ = new_first + (length_ - first_);
    first_ = new_first;
    lines_ = lines;
}

}  // namespace palier::http
