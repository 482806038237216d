#include "config/probe_request.h"

#include "config/addresses.h"
#include "config/status_ranges.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::size_t kLongestMethod = 32;
constexpr std::size_t kLongestPath = 2048;
constexpr std::size_t kMostFieldBytes = 4096;  // with the path, what any server takes for a head
constexpr std::size_t kLongestBody = 65'536;   // as much as a probe looks at

/// What a probe says itself, and how to have a say in it.
struct OwnField {
    std::string_view name;
    std::string_view instead;
};
constexpr std::array<OwnField, 9> kOwnFields{{{"host", "; \"host\" beside \"headers\" sets it"},
                                              {"connection", "; \"keep_alive\" beside \"headers\" sets it"},
                                              {"keep-alive", "; \"keep_alive\" beside \"headers\" sets it"},
                                              {"content-length", ""},
                                              {"transfer-encoding", ""},
                                              {"te", ""},
                                              {"trailer", ""},
                                              {"upgrade", ""},
                                              {"expect", ""}}};

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

/// RFC 9110 section 5.6.2
bool is_token(std::string_view text) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kMarks.find(c) != std::string_view::npos;
    });
}

/// RFC 9110 section 5.5
bool is_field_value(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    if (!text.empty() && (blank(text.front()) || blank(text.back()))) return false;
    return std::ranges::all_of(
        text, [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 0x7f); });
}

void read_method(TableReader& table, HealthConfig& health) {
    const Node* text = table.text("method");
    if (text == nullptr) return;
    const std::string& method = text->string;
    // Methods are tokens of any case; one in small letters is a slip, and CONNECT asks for no page.
    const bool good =
        !method.empty() && method.size() <= kLongestMethod && method != "CONNECT" &&
        std::ranges::all_of(method, [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
    if (good) {
        health.method = method;
    } else {
        table.mistakes().add(text->place(),
                             fmt::format("\"{}\" must be a method such as \"GET\" or \"HEAD\", not \"{}\"",
                                         table.path_of("method"), method));
    }
}

void read_path(TableReader& table, HealthConfig& health) {
    const Node* text = table.text("path");
    if (text == nullptr) return;
    const std::string& path = text->string;
    const auto bad = [&](std::string_view why) {
        table.mistakes().add(text->place(), fmt::format("\"{}\" {}", table.path_of("path"), why));
    };
    if (!path.starts_with('/')) {
        bad(fmt::format("must begin with \"/\", not \"{}\"", path));
    } else if (path.size() > kLongestPath) {
        bad(fmt::format("must not be longer than {} bytes", kLongestPath));
    } else if (std::ranges::any_of(path, [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
        bad("must be written as it travels, with %-escapes");
    } else if (std::ranges::any_of(path, [](char c) { return c <= ' ' || c == 0x7f || c == '#'; })) {
        bad("must not hold spaces, control characters or \"#\"");
    } else {
        health.path = path;
    }
}

/// "www.example.com", "[::1]", either with a port, as a Host field has it.
bool is_host_field(std::string_view text) {
    if (text.find('*') != std::string_view::npos) return false;
    return parse_host_pattern(text).has_value() || parse_server_address(text).has_value();
}

void read_host(TableReader& table, HealthConfig& health) {
    const Node* text = table.text("host");
    if (text == nullptr) return;
    if (text->string.empty() || is_host_field(text->string)) {
        health.host = text->string;
    } else {
        table.mistakes().add(text->place(), fmt::format("\"{}\" must be a host name such as "
                                                        "\"www.example.com\", if need be with a port, not "
                                                        "\"{}\"",
                                                        table.path_of("host"), text->string));
    }
}

/// What is wrong with a field, or "".
std::string fault_of(std::string_view path, const ProbeField& field, const std::vector<ProbeField>& earlier) {
    const std::string name = lower(field.name);
    const auto own = std::ranges::find(kOwnFields, name, &OwnField::name);
    const bool doubled =
        std::ranges::any_of(earlier, [&](const ProbeField& other) { return lower(other.name) == name; });
    if (!is_token(field.name)) return fmt::format("\"{}\" is not a header field's name", field.name);
    if (own != kOwnFields.end())
        return fmt::format("\"{}\" must not hold \"{}\": a probe has its own{}", path, field.name,
                           own->instead);
    if (doubled) return fmt::format("\"{}\" is in \"{}\" already", field.name, path);
    if (!is_field_value(field.value))
        return fmt::format(
            "\"{}.{}\" must not hold control characters, or spaces at its beginning or its end", path,
            field.name);
    return "";
}

void read_headers(TableReader& table, HealthConfig& health) {
    if (!table.table("headers")) return;
    const std::string path = table.path_of("headers");
    std::size_t bytes = 0;
    for (const Node::Entry& entry : table.find("headers")->entries) {
        if (entry.value.broken) continue;
        if (entry.value.kind != Node::Kind::string) {
            table.wrong_type("headers." + entry.key, entry.value, "a string");
            continue;
        }
        bytes += entry.key.size() + entry.value.string.size();
        ProbeField field{entry.key, entry.value.string};
        const std::string fault = fault_of(path, field, health.headers);
        if (fault.empty()) {
            health.headers.push_back(std::move(field));
        } else {
            table.mistakes().add(entry.key_place(), fault);
        }
    }
    if (bytes > kMostFieldBytes) {
        table.mistakes().add(table.key_place("headers"),
                             fmt::format("\"{}\" must not hold more than {} bytes", path, kMostFieldBytes));
    }
}

void read_expect_body(TableReader& table, HealthConfig& health) {
    const Node* text = table.text("expect_body");
    if (text == nullptr) return;
    if (text->string.size() > kLongestBody) {
        table.mistakes().add(text->place(),
                             fmt::format("\"{}\" must not be longer than {} bytes: a probe looks at no more",
                                         table.path_of("expect_body"), kLongestBody));
    } else if (!text->string.empty() && health.method == "HEAD") {
        table.mistakes().add(table.key_place("expect_body"),
                             fmt::format("\"{}\" never appears: what answers \"HEAD\" has no body",
                                         table.path_of("expect_body")));
    } else {
        health.expect_body = text->string;
    }
}

}  // namespace

void read_probe_request(TableReader& table, HealthConfig& health) {
    read_method(table, health);
    read_path(table, health);
    read_host(table, health);
    read_headers(table, health);
    read_status_ranges(table, "expect", health.expect, false);
    read_expect_body(table, health);
    table.read("keep_alive", health.keep_alive);
}

}  // namespace palier::config
