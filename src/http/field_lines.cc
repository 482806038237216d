#include "http/field_lines.h"

#include "http/ascii.h"
#include "palier/base/assert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <llhttp.h>

namespace palier::http {
namespace {

/// Where llhttp stands when it pauses; llhttp_t::data points at it.
struct Pause {
    std::string_view name;  // of a field, just read with its ':'; "" at the end of the section
};

int on_name(llhttp_t* parser, const char* at, std::size_t length) {
    static_cast<Pause*>(parser->data)->name = {at, length};
    // llhttp must not judge Content-Length, Transfer-Encoding, Connection and Upgrade: framing is the
    // callers' verdict. With the state that it derived from the name gone, every value is just a value to it.
    parser->header_state = 0;
    return 0;
}

/// Values are skipped before llhttp sees them, so a value here is the continuation of a folded line.
int on_value(llhttp_t*, const char*, std::size_t length) {
    return length == 0 ? HPE_OK : HPE_USER;
}

int pause(llhttp_t*) {
    return HPE_PAUSED;
}

/// A parser that has just taken a start line: copied for each field section, so that llhttp sees field lines
/// only and methods, versions and status codes are ours to judge.
llhttp_t make_prototype() {
    static const llhttp_settings_t kSettings = [] {
        llhttp_settings_t settings;
        llhttp_settings_init(&settings);
        settings.on_header_field = on_name;
        settings.on_header_field_complete = pause;
        settings.on_header_value = on_value;
        settings.on_headers_complete = pause;
        return settings;
    }();
    constexpr std::string_view kStartLine = "POST / HTTP/1.1\r\n";
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &kSettings);
    const llhttp_errno_t error = llhttp_execute(&parser, kStartLine.data(), kStartLine.size());
    PALIER_ASSERT(error == HPE_OK);
    return parser;
}

/// Sixteen bytes in one register, on any machine that has such (GCC's and Clang's vector extension).
using Block [[gnu::vector_size(16)]] = std::uint8_t;
constexpr std::ptrdiff_t kBlock = sizeof(Block);

/// Where the first control character but HT is among sixteen bytes; kBlock for none.
[[nodiscard]] inline std::ptrdiff_t find_control_in_block(const char* at) {
    static_assert(std::endian::native == std::endian::little);
    Block bytes;
    std::memcpy(&bytes, at, sizeof bytes);
    const auto offends = ((bytes < 0x20) & (bytes != '\t')) | (bytes == 0x7f);  // 0xff where true
    std::array<std::uint64_t, 2> halves{};
    std::memcpy(halves.data(), &offends, sizeof halves);
    if (halves[0] != 0) return std::countr_zero(halves[0]) / 8;
    return 8 + std::countr_zero(halves[1]) / 8;
}

/// The first control character but HT, or `end`. Values are most of a head, so this is its inner loop.
[[nodiscard]] const char* find_control(const char* at, const char* end) {
    while (end - at >= kBlock) {
        const std::ptrdiff_t found = find_control_in_block(at);
        at += found;
        if (found < kBlock) return at;
    }
    while (at != end && (!is(kControl, *at) || *at == '\t'))
        ++at;
    return at;
}

[[nodiscard]] bool is_token(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return is(kToken, c); });
}

/// Reads the value of `name`, whose ':' is the byte after it, up to CRLF. Returns the value's line end (at
/// the CR), or null where the line is malformed. `name` must begin the line, which `line` is the start of:
/// llhttp, in its loose build, lets spaces in names and some bare CR or LF before them pass.
[[nodiscard]] const char* read_field(const char* line, const char* end, Field& field) {
    if (field.name.data() != line || !is_token(field.name)) return nullptr;
    const char* colon = line + field.name.size();
    if (*colon != ':') return nullptr;
    const char* value = colon + 1;
    while (value != end && is_blank(*value))
        ++value;
    const char* line_end = find_control(value, end);
    if (end - line_end < 2 || line_end[0] != '\r' || line_end[1] != '\n') return nullptr;
    const char* value_end = line_end;
    while (value_end != value && is_blank(value_end[-1]))
        --value_end;
    field.value = {value, value_end};
    field.verbatim = value == colon + 2 && colon[1] == ' ' && value_end == line_end;
    field.known = name_of(field.name);
    return line_end;
}

}  // namespace

FieldsResult parse_field_lines(std::string_view lines, std::size_t max_fields, std::vector<Field>& fields) {
    static const llhttp_t kPrototype = make_prototype();
    fields.clear();
    Pause paused;
    llhttp_t parser = kPrototype;
    parser.data = &paused;
    const char* line = lines.data();  // start of the line to read
    const char* at = line;            // llhttp goes on here: there, or at the CRLF before
    const char* const end = line + lines.size();
    while (true) {
        paused.name = {};
        const llhttp_errno_t error = llhttp_execute(&parser, at, static_cast<std::size_t>(end - at));
        if (error == HPE_OK) return {line == end ? FieldsState::incomplete : FieldsState::bad};
        if (error != HPE_PAUSED) return {FieldsState::bad};
        if (paused.name.data() == nullptr) break;
        if (fields.size() == max_fields) return {FieldsState::too_many};
        Field& field = fields.emplace_back(Field{.name = paused.name, .value = {}});
        at = read_field(line, end, field);
        if (at == nullptr) return {FieldsState::bad};
        line = at + 2;
        llhttp_resume(&parser);
    }
    if (end - line < 2 || line[0] != '\r' || line[1] != '\n') return {FieldsState::bad};
    return {FieldsState::complete, static_cast<std::size_t>(line + 2 - lines.data())};
}

}  // namespace palier::http
