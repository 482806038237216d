#include "palier/proxy/access_log.h"

#include "escape.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace palier::proxy {
namespace {

constexpr std::size_t kLongestPath = 8000;
constexpr std::size_t kLongestAgent = 2000;  // and Referer
constexpr std::size_t kLongestWord = 256;    // everything else

// What a line needs beyond its escaped values: keys, numbers, the time and the reason.
constexpr std::size_t kFixedSize = 640;

// So that any one line fits an empty block.
static_assert(kJsonExpansion * (kLongestPath + 8 * kLongestWord) + kFixedSize <= AccessLogBlock::kCapacity);
static_assert(kLogExpansion * (kLongestPath + 2 * kLongestAgent + 3 * kLongestWord) + kFixedSize <=
              AccessLogBlock::kCapacity);

template <std::size_t Size>
char* put(char* out, const char (&literal)[Size]) {
    std::memcpy(out, literal, Size - 1);
    return out + Size - 1;
}

char* put(char* out, std::string_view text) {
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

char* put(char* out, std::uint64_t number) {
    return std::to_chars(out, out + 20, number).ptr;
}

/// 1234 µs as "1.234".
char* put_milliseconds(char* out, std::uint64_t us) {
    out = put(out, us / 1000);
    const auto rest = static_cast<unsigned>(us % 1000);
    *out++ = '.';
    *out++ = static_cast<char>('0' + rest / 100);
    *out++ = static_cast<char>('0' + rest / 10 % 10);
    *out++ = static_cast<char>('0' + rest % 10);
    return out;
}

std::string_view cut(std::string_view text, std::size_t longest) {
    return text.substr(0, longest);
}

/// One JSON object's line. `out` has room for json_bound().
char* put_json_line(char* out, const AccessRecord& record, std::string_view time) {
    const auto word = [&out](std::string_view text) { out = put_json_escaped(out, cut(text, kLongestWord)); };
    out = put(out, "{\"time\":\"");
    out = put(out, time);
    out = put(out, "\",\"client\":\"");
    word(record.client);
    out = put(out, "\",\"listener\":\"");
    word(record.listener);
    out = put(out, "\",\"method\":\"");
    word(record.method);
    out = put(out, "\",\"host\":\"");
    word(record.host);
    out = put(out, "\",\"path\":\"");
    out = put_json_escaped(out, cut(record.path, kLongestPath));
    out = put(out, "\",\"protocol\":\"");
    word(record.protocol);
    out = put(out, "\",\"status\":");
    out = put(out, std::uint64_t{record.status});
    out = put(out, ",\"bytes_in\":");
    out = put(out, record.bytes_in);
    out = put(out, ",\"bytes_out\":");
    out = put(out, record.bytes_out);
    out = put(out, ",\"pool\":\"");
    word(record.pool);
    out = put(out, "\",\"server\":\"");
    word(record.server);
    out = put(out, "\",\"tries\":");
    out = put(out, std::uint64_t{record.tries});
    out = put(out, ",\"ttfb_ms\":");
    out = put_milliseconds(out, record.ttfb_us);
    out = put(out, ",\"total_ms\":");
    out = put_milliseconds(out, record.total_us);
    out = put(out, ",\"reason\":\"");
    out = put(out, text_of(record.reason));
    out = put(out, "\",\"request_id\":\"");
    word(record.request_id);
    return put(out, "\"}\n");
}

std::size_t json_bound(const AccessRecord& record) {
    const auto word = [](std::string_view text) { return std::min(text.size(), kLongestWord); };
    return kFixedSize + kJsonExpansion * (std::min(record.path.size(), kLongestPath) + word(record.client) +
                                          word(record.listener) + word(record.method) + word(record.host) +
                                          word(record.protocol) + word(record.pool) + word(record.server) +
                                          word(record.request_id));
}

/// nginx's "combined": `client - - [time] "METHOD path HTTP/1.1" status bytes "referer" "agent"`, with "-"
/// for what is not known.
char* put_combined_line(char* out, const AccessRecord& record, std::string_view time) {
    const auto value = [&out](std::string_view text, std::size_t longest) {
        out = put_log_escaped(out, text.empty() ? "-" : cut(text, longest));
    };
    value(record.client, kLongestWord);
    out = put(out, " - - [");
    out = put(out, time);
    out = put(out, "] \"");
    value(record.method, kLongestWord);
    if (!record.method.empty()) {
        *out++ = ' ';
        value(record.path, kLongestPath);
        *out++ = ' ';
        value(record.protocol, kLongestWord);
    }
    out = put(out, "\" ");
    out = put(out, std::uint64_t{record.status});
    *out++ = ' ';
    out = put(out, record.bytes_out);
    out = put(out, " \"");
    value(record.referer, kLongestAgent);
    out = put(out, "\" \"");
    value(record.user_agent, kLongestAgent);
    return put(out, "\"\n");
}

std::size_t combined_bound(const AccessRecord& record) {
    const auto capped = [](std::string_view text, std::size_t longest) {
        return std::min(text.size(), longest);
    };
    return kFixedSize +
           kLogExpansion * (capped(record.client, kLongestWord) + capped(record.method, kLongestWord) +
                            capped(record.path, kLongestPath) + capped(record.protocol, kLongestWord) +
                            capped(record.referer, kLongestAgent) + capped(record.user_agent, kLongestAgent));
}

}  // namespace

AccessLog::AccessLog(AccessLogWriter* writer, config::LogFormat format) : writer_(writer), format_(format) {
    if (writer_ != nullptr) block_ = std::make_unique_for_overwrite<AccessLogBlock>();
}

AccessLog::~AccessLog() {
    give_up_block();
}

void AccessLog::set_writer(AccessLogWriter* writer) {
    give_up_block();
    writer_ = writer;
    if (writer_ != nullptr && block_ == nullptr) block_ = std::make_unique_for_overwrite<AccessLogBlock>();
}

/// Hands over what is left; lines for which there is no room are lost.
void AccessLog::give_up_block() {
    if (writer_ == nullptr || block_->size == 0) return;
    block_ = writer_->hand_over(std::move(block_));
    const char* const bytes = block_->bytes.data();
    writer_->count_dropped(static_cast<std::uint64_t>(std::count(bytes, bytes + block_->size, '\n')));
    block_->size = 0;
}

void AccessLog::write(const AccessRecord& record, base::WallClock& clock) {
    if (writer_ == nullptr) return;
    const bool json = format_ == config::LogFormat::json;
    if (!make_room(json ? json_bound(record) : combined_bound(record))) {
        writer_->count_dropped(1);
        return;
    }
    char* const out = block_->bytes.data() + block_->size;
    char* const end =
        json ? put_json_line(out, record, clock.iso8601()) : put_combined_line(out, record, clock.clf());
    block_->size += static_cast<std::size_t>(end - out);
}

void AccessLog::flush() {
    if (writer_ == nullptr || block_->size == 0 || writer_->behind()) return;
    block_ = writer_->hand_over(std::move(block_));
}

bool AccessLog::make_room(std::size_t size) {
    if (AccessLogBlock::kCapacity - block_->size >= size) return true;
    block_ = writer_->hand_over(std::move(block_));
    return AccessLogBlock::kCapacity - block_->size >= size;
}

}  // namespace palier::proxy
