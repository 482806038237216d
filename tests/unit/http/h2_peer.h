// A client of HTTP/2 for tests: frames made by hand, so that wrong ones can be sent, and what a session says
// in return, as text.
#pragma once

#include "cuts.h"
#include "palier/base/buffer.h"
#include "palier/http/h2_session.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nghttp2/nghttp2.h>

namespace palier::http::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

namespace h2 {

enum Type : std::uint8_t {
    kData,
    kHeaders,
    kPriority,
    kReset,
    kSettings,
    kPushPromise,
    kPing,
    kGoAway,
    kWindowUpdate,
    kContinuation,
    kPriorityUpdate = 0x10,
};

enum Flag : std::uint8_t { kNoFlag = 0, kAck = 1, kEndStream = 1, kEndHeaders = 4, kPadded = 8 };

inline std::string number(std::uint64_t value, int bytes) {
    std::string text;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        text.push_back(static_cast<char>(value >> shift & 0xff));
    return text;
}

inline std::string frame(std::uint8_t type, unsigned flags, std::uint32_t stream,
                         std::string_view payload = {}) {
    std::string text = number(static_cast<std::uint32_t>(payload.size()), 3);
    text.push_back(static_cast<char>(type));
    text.push_back(static_cast<char>(flags));
    return text.append(number(stream, 4)).append(payload);
}

inline std::string settings(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& entries = {}) {
    std::string payload;
    for (const auto& [id, value] : entries)
        payload.append(number(id, 2)).append(number(value, 4));
    return frame(kSettings, kNoFlag, 0, payload);
}

inline std::string preface() {
    return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings();
}

inline std::string data(std::uint32_t stream, std::string_view bytes, unsigned flags = kNoFlag) {
    return frame(kData, flags, stream, bytes);
}

inline std::string padded_data(std::uint32_t stream, std::string_view bytes, std::uint8_t padding,
                               unsigned flags = kNoFlag) {
    std::string payload(1, static_cast<char>(padding));
    payload.append(bytes).append(padding, '\0');
    return frame(kData, flags | kPadded, stream, payload);
}

inline std::string reset(std::uint32_t stream, std::uint32_t error = 8) {
    return frame(kReset, kNoFlag, stream, number(error, 4));
}

inline std::string window_update(std::uint32_t stream, std::uint32_t size) {
    return frame(kWindowUpdate, kNoFlag, stream, number(size, 4));
}

inline std::string ping(unsigned flags = kNoFlag, std::string_view opaque = "12345678") {
    return frame(kPing, flags, 0, opaque);
}

/// Fields of a plain GET, and more.
inline Fields get(Fields more = {}, std::string path = "/") {
    Fields fields{{":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", std::move(path)}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

inline Fields post(Fields more = {}) {
    Fields fields = get(std::move(more));
    fields[0].second = "POST";
    return fields;
}

inline Fields websocket(Fields more = {}) {
    Fields fields{{":method", "CONNECT"},
                  {":protocol", "websocket"},
                  {":scheme", "https"},
                  {":authority", "h"},
                  {":path", "/chat"}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

}  // namespace h2

/// Header blocks as a client's encoder makes them, whatever the fields.
class Encoder {
  public:
    Encoder() { nghttp2_hd_deflate_new(&deflater_, 4096); }
    ~Encoder() { nghttp2_hd_deflate_del(deflater_); }
    Encoder(const Encoder&) = delete;
    Encoder& operator=(const Encoder&) = delete;

    std::string block(const Fields& fields) {
        std::vector<nghttp2_nv> pairs;
        for (const auto& [name, value] : fields) {
            pairs.push_back(
                {bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
        }
        std::string text(nghttp2_hd_deflate_bound(deflater_, pairs.data(), pairs.size()), '\0');
        const auto size =
            nghttp2_hd_deflate_hd(deflater_, bytes_of(text), text.size(), pairs.data(), pairs.size());
        REQUIRE(size >= 0);
        text.resize(static_cast<std::size_t>(size));
        return text;
    }
    /// HEADERS, with as many CONTINUATIONs as it takes.
    std::string headers(std::uint32_t stream, const Fields& fields, unsigned flags = h2::kEndStream) {
        const std::string all = block(fields);
        constexpr std::size_t kLargest = 16384;
        std::string text;
        for (std::size_t at = 0; at == 0 || at < all.size(); at += kLargest) {
            const bool last = at + kLargest >= all.size();
            const unsigned own = (at == 0 ? flags : 0) | (last ? h2::kEndHeaders : 0);
            text += h2::frame(at == 0 ? h2::kHeaders : h2::kContinuation, own, stream,
                              std::string_view(all).substr(at, kLargest));
        }
        return text;
    }

  private:
    static std::uint8_t* bytes_of(const std::string& text) {
        return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
    }
    nghttp2_hd_deflater* deflater_ = nullptr;
};

/// What a session sent, frame by frame: "HEADERS 1 [:status=200]", "DATA 1 hello END", "RESET 1 8", …
class Decoder {
  public:
    Decoder() { nghttp2_hd_inflate_new(&inflater_); }
    ~Decoder() { nghttp2_hd_inflate_del(inflater_); }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    void read(std::string_view bytes) {
        bytes_.append(bytes);
        while (bytes_.size() >= 9) {
            const std::uint32_t size = read_number(0, 3);
            if (bytes_.size() < 9 + size) return;
            read_frame(static_cast<std::uint8_t>(bytes_[3]), static_cast<std::uint8_t>(bytes_[4]),
                       read_number(5, 4), bytes_.substr(9, size));
            bytes_.erase(0, 9 + size);
        }
    }
    std::vector<std::string> frames;

    /// Frames that begin with `prefix`.
    [[nodiscard]] std::size_t count(std::string_view prefix) const {
        std::size_t found = 0;
        for (const std::string& frame : frames)
            found += frame.starts_with(prefix) ? 1 : 0;
        return found;
    }
    /// Bytes of DATA, by stream.
    std::map<std::uint32_t, std::size_t> data;

  private:
    [[nodiscard]] std::uint32_t read_number(std::size_t at, std::size_t bytes) const {
        std::uint32_t value = 0;
        for (std::size_t i = at; i < at + bytes; ++i)
            value = value << 8 | static_cast<unsigned char>(bytes_[i]);
        return value;
    }

    void read_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const std::string& payload) {
        const auto word = [&payload](std::size_t at) {
            std::uint32_t value = 0;
            for (std::size_t i = at; i < at + 4; ++i)
                value = value << 8 | static_cast<unsigned char>(payload[i]);
            return std::to_string(value);
        };
        const std::string id = std::to_string(stream);
        switch (type) {
            case h2::kData:
                data[stream] += payload.size();
                frames.push_back("DATA " + id + " " +
                                 (payload.size() > 64 ? std::to_string(payload.size()) : payload));
                break;
            case h2::kHeaders:
                frames.push_back("HEADERS " + id + " " + inflate(payload));
                break;
            case h2::kReset:
                frames.push_back("RESET " + id + " " + word(0));
                break;
            case h2::kSettings:
                frames.push_back((flags & h2::kAck) != 0 ? "SETTINGS ACK" : "SETTINGS");
                return;
            case h2::kPing:
                frames.push_back((flags & h2::kAck) != 0 ? "PING ACK" : "PING " + payload);
                return;
            case h2::kGoAway:
                frames.push_back("GOAWAY " + word(0) + " " + word(4));
                return;
            case h2::kWindowUpdate:
                frames.push_back("WINDOW_UPDATE " + id + " " + word(0));
                return;
            default:
                frames.push_back("frame " + std::to_string(type));
                return;
        }
        if (type != h2::kReset && (flags & h2::kEndStream) != 0) frames.back() += " END";
    }

    std::string inflate(const std::string& payload) {
        std::string text;
        const auto* at = reinterpret_cast<const std::uint8_t*>(payload.data());
        std::size_t left = payload.size();
        while (true) {
            nghttp2_nv pair{};
            int flags = 0;
            const auto used = nghttp2_hd_inflate_hd2(inflater_, &pair, &flags, at, left, 1);
            REQUIRE(used >= 0);
            at += used;
            left -= static_cast<std::size_t>(used);
            if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
                text.append("[").append(reinterpret_cast<char*>(pair.name), pair.namelen).append("=");
                text.append(reinterpret_cast<char*>(pair.value), pair.valuelen).append("]");
            }
            if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
        }
        nghttp2_hd_inflate_end_headers(inflater_);
        return text;
    }

    nghttp2_hd_inflater* inflater_ = nullptr;
    std::string bytes_;
};

/// A response's body that a test fills.
class TestSource final : public H2Source {
  public:
    explicit TestSource(std::string bytes = {}, bool ended = true)
        : bytes_(std::move(bytes)), ended_(ended) {}

    [[nodiscard]] std::size_t available() const override { return bytes_.size() - used_; }
    [[nodiscard]] bool ended() const override { return ended_; }
    [[nodiscard]] std::string_view trailers() const override { return trailers_; }
    void take(base::Buffer& out, std::size_t size) override {
        ++taken;
        out.append(std::string_view(bytes_).substr(used_, size));
        used_ += size;
    }
    void add(std::string_view bytes) { bytes_.append(bytes); }
    void end(std::string trailers = {}) {
        ended_ = true;
        trailers_ = std::move(trailers);
    }
    int taken = 0;

  private:
    std::string bytes_;
    std::size_t used_ = 0;
    std::string trailers_;
    bool ended_;
};

/// A session, its receiver, and the client's end of it. Checks that streams are opened and closed in pairs.
class Peer : public H2Receiver {
  public:
    explicit Peer(const H2Limits& limits = {}) : session(workspace, limits) {}

    void on_request(std::int32_t stream, const RequestHead& head, std::size_t) override {
        begin(stream, "request " + std::to_string(stream) + " " + describe(head));
        for (const Field& field : head.fields) {
            CHECK(field.verbatim);
            CHECK(field.known == name_of(field.name));
            CHECK(std::string(field.name) + ": " + std::string(field.value) + "\r\n" ==
                  std::string(field.name.data(), field.name.size() + field.value.size() + 4));
        }
        if (request) request(stream, head);
    }
    void on_refused(std::int32_t stream, Refusal refusal) override {
        begin(stream, "refused " + std::to_string(stream) + " " + std::to_string(status_of(refusal)));
        if (refused) refused(stream);
    }
    void on_data(std::int32_t stream, std::string_view bytes) override {
        CHECK(open.count(stream) == 1);
        const std::string name = "data " + std::to_string(stream) + " ";
        if (events.empty() || !events.back().starts_with(name)) events.push_back(name);
        events.back().append(bytes);
        if (data) data(stream, bytes);
    }
    void on_end(std::int32_t stream, std::string_view trailers) override {
        CHECK(open.count(stream) == 1);
        events.push_back("end " + std::to_string(stream) + " " + std::string(trailers));
    }
    void on_closed(std::int32_t stream, H2Error error) override {
        CHECK(open.erase(stream) == 1);
        events.push_back("closed " + std::to_string(stream) + " " +
                         std::to_string(static_cast<std::uint32_t>(error)));
        if (closed) closed(stream);
    }

    /// The client sends `bytes` and reads all answers.
    bool send(std::string_view bytes) {
        const bool good = take(bytes);
        read();
        return good;
    }
    /// Only the first half of that.
    bool take(std::string_view bytes) {
        const ExactBytes exact(bytes);
        return session.receive(exact.view(), now_ms, *this);
    }
    void read(std::size_t enough = std::size_t{1} << 20) {
        base::Buffer out;
        while (session.has_output()) {
            out.clear();
            session.produce(out, enough, *this);
            if (out.empty()) break;
            sent.read(out.view());
        }
    }
    void start() {
        REQUIRE(send(h2::preface() + h2::frame(h2::kSettings, h2::kAck, 0)));
        sent.frames.clear();
    }
    /// Answers that need no more than a status.
    void respond(std::int32_t stream, std::uint16_t status, H2Source* source = nullptr) {
        ResponseHead head;
        head.status = status;
        session.respond(stream, head, source == nullptr ? BodyLength{} : BodyLength{Framing::chunked, 0},
                        false, {}, source);
    }

    H2Workspace workspace;
    H2Session session;
    Encoder encoder;
    Decoder sent;
    std::vector<std::string> events;
    std::map<std::int32_t, int> open;
    std::uint64_t now_ms = 1000;
    std::function<void(std::int32_t, const RequestHead&)> request;
    std::function<void(std::int32_t)> refused;
    std::function<void(std::int32_t)> closed;
    std::function<void(std::int32_t, std::string_view)> data;

  private:
    void begin(std::int32_t stream, std::string event) {
        CHECK(open.count(stream) == 0);
        open[stream] = 1;
        events.push_back(std::move(event));
    }
};

inline std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines)
        text.append(line).append("\n");
    return text;
}

/// What happens when a client says `bytes` after its preface: what the receiver hears, then resets and
/// GOAWAYs, the same however the bytes are cut.
inline std::string outcome_of(std::string_view bytes, const H2Limits& limits, std::size_t first,
                              std::size_t step) {
    Peer peer(limits);
    peer.start();
    std::size_t at = 0;
    std::size_t next = first;
    bool good = true;
    while (good && at < bytes.size()) {
        const std::size_t end = std::min(next, bytes.size());
        good = peer.send(bytes.substr(at, end - at));
        at = end;
        next = end + step;
    }
    std::string text = joined(peer.events);
    for (const std::string& frame : peer.sent.frames) {
        if (frame.starts_with("RESET") || frame.starts_with("GOAWAY")) text.append(frame).append("\n");
    }
    if (peer.session.flood() != H2Flood::none) text.append(text_of(peer.session.flood())).append("\n");
    return text;
}

inline std::string h2_outcome(std::string_view bytes, const H2Limits& limits = {}) {
    const std::string whole = outcome_of(bytes, limits, bytes.size(), 1);
    for (std::size_t cut = 1; cut < bytes.size(); cut += 1 + bytes.size() / 256) {
        INFO("cut at " << cut);
        CHECK(outcome_of(bytes, limits, cut, bytes.size()) == whole);
    }
    if (bytes.size() < 4096) {
        INFO("byte by byte");
        CHECK(outcome_of(bytes, limits, 1, 1) == whole);
    }
    return whole;
}

inline std::string describe(const Fields& fields) {
    std::string text;
    for (const auto& [name, value] : fields)
        text.append(name).append("=").append(value).append("\n");
    return text;
}

/// The same for one request on stream 1.
inline std::string h2_request(const Fields& fields, unsigned flags = h2::kEndStream,
                              std::string_view more = {}, const H2Limits& limits = {}) {
    INFO(describe(fields));
    Encoder encoder;
    return h2_outcome(encoder.headers(1, fields, flags).append(more), limits);
}

}  // namespace palier::http::test
