// What the fuzz targets share: the input, cut as the fuzzer likes, and checks that abort.
#pragma once

#include "palier/base/assert.h"
#include "palier/http/body.h"
#include "palier/http/h1_parser.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace palier::fuzz {

/// Bytes in a block of exactly their size, so that AddressSanitizer sees a read beyond them.
class ExactBytes {
  public:
    explicit ExactBytes(std::string_view bytes) : memory_(new char[bytes.size()]), size_(bytes.size()) {
        if (size_ > 0) std::memcpy(memory_.get(), bytes.data(), size_);
    }
    [[nodiscard]] std::string_view view() const { return {memory_.get(), size_}; }

  private:
    std::unique_ptr<char[]> memory_;
    std::size_t size_;
};

/// The first byte of a corpus file is a letter that chooses limits, flags and how the rest is cut.
struct Input {
    unsigned options = 0;
    std::string_view message;

    Input(const std::uint8_t* data, std::size_t size) {
        if (size == 0) return;
        options = data[0];
        message = {reinterpret_cast<const char*>(data) + 1, size - 1};
    }
    [[nodiscard]] http::HeadLimits limits() const {
        return (options & 1) != 0 ? http::HeadLimits{.size = 128, .fields = 4} : http::HeadLimits{};
    }
    /// Where pieces end: everywhere in short messages, in some 64 places that `options` shifts in long ones.
    [[nodiscard]] std::vector<std::size_t> cuts() const {
        std::vector<std::size_t> ends;
        const std::size_t step = 1 + message.size() / 64;
        for (std::size_t end = 1 + options % step; end < message.size(); end += step)
            ends.push_back(end);
        ends.push_back(message.size());
        return ends;
    }
};

inline std::string describe(const std::vector<http::Field>& fields) {
    std::string text;
    for (const http::Field& field : fields) {
        text.append(field.name).append(": ").append(field.value).append("\n");
    }
    return text;
}

/// No control character but HT can be in anything that the parsers accept.
inline void check_clean(std::string_view text) {
    const bool clean = std::none_of(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
    PALIER_ASSERT(clean);
}

/// A body as read from pieces that end at `ends`, with a mark for how it ended.
inline std::string read_body(http::BodyLength length, std::string_view bytes,
                             const std::vector<std::size_t>& ends) {
    using Event = http::BodyReader::Event;
    http::BodyReader reader;
    reader.start(length, 256);
    std::string text;
    std::size_t at = 0;
    for (const std::size_t end : ends) {
        const ExactBytes piece(bytes.substr(at, end - at));
        std::string_view input = piece.view();
        while (true) {
            const http::BodyReader::Step step = reader.next(input);
            PALIER_ASSERT(step.consumed <= input.size());
            PALIER_ASSERT(step.data.size() <= step.consumed);
            text.append(step.data);
            PALIER_ASSERT(reader.received() == text.size());
            input.remove_prefix(step.consumed);
            at += step.consumed;
            if (step.event == Event::error) return text + " broken";
            if (step.event == Event::end) {
                return text + " ended at " + std::to_string(at) + " with " + std::string(reader.trailers());
            }
            if (step.event == Event::need_more) break;
        }
        PALIER_ASSERT(input.empty());
    }
    return text + (reader.finish() ? " closed" : " cut");
}

/// A body read in small pieces is the same as read at once.
inline void check_body(http::BodyLength length, std::string_view bytes) {
    std::vector<std::size_t> ends;
    for (std::size_t end = 1; end < bytes.size(); ++end)
        ends.push_back(end);
    ends.push_back(bytes.size());
    const std::string whole = read_body(length, bytes, {bytes.size()});
    PALIER_ASSERT(read_body(length, bytes, ends) == whole);
}

}  // namespace palier::fuzz
