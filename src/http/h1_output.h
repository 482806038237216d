// What writers of requests and responses share: a cursor over reserved memory, runs of fields copied in one
// piece, and which fields a Connection field names away.
// Thread: any; no state between calls.
#pragma once

#include "http/ascii.h"
#include "http/head_bytes.h"
#include "palier/base/buffer.h"
#include "palier/http/message.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace palier::http {

/// Writes into memory that the caller has reserved to a computed bound.
class Output {
  public:
    explicit Output(char* at) : begin_(at), at_(at) {}

    void put(std::string_view text) {
        if (text.empty()) return;  // a null view is not for memcpy
        std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
    }
    /// A literal: its length is known, so the copy is a few stores.
    template <std::size_t N>
    void put(const char (&literal)[N]) {
        std::memcpy(at_, literal, N - 1);
        at_ += N - 1;
    }
    void put_number(std::uint64_t value) { at_ = std::to_chars(at_, at_ + kMaxDigits, value).ptr; }

    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }

    static constexpr std::size_t kMaxDigits = 20;

  private:
    char* begin_;
    char* at_;
};

/// Writes field lines, neighbours that are verbatim in the received head in one copy. Those bytes have been
/// checked to be just what would be written line by line.
class FieldWriter {
  public:
    explicit FieldWriter(Output& out) : out_(out) {}
    FieldWriter(const FieldWriter&) = delete;
    FieldWriter& operator=(const FieldWriter&) = delete;

    void put(const Field& field) {
        if (!field.verbatim) {
            flush();
            out_.put(field.name);
            out_.put(": ");
            out_.put(field.value);
            out_.put("\r\n");
            return;
        }
        if (field.name.data() != run_end_) {
            flush();
            run_ = field.name.data();
        }
        run_end_ = field.value.data() + field.value.size() + 2;
    }

    void flush() {
        if (run_ != nullptr) out_.put({run_, static_cast<std::size_t>(run_end_ - run_)});
        run_ = run_end_ = nullptr;
    }

  private:
    Output& out_;
    const char* run_ = nullptr;
    const char* run_end_ = nullptr;
};

/// Fields that a rule about forwarding names, and the room that all of them take.
struct FieldSurvey {
    ConnectionOptions connection;
    std::size_t room = 0;

    explicit FieldSurvey(const std::vector<Field>& fields) {
        for (const Field& field : fields) {
            room += field.name.size() + field.value.size() + 4;
            if (field.known == Name::connection) connection.note(field.value);
        }
    }
};

/// Whether a Connection field names `field` away. Some fields it cannot name (Host, framing, the
/// forwarded family, Cookie).
[[nodiscard]] bool is_named_away(const Field& field, const std::vector<Field>& fields);

}  // namespace palier::http
