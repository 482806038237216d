#include "config/accounts.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

namespace palier::config {
namespace {

constexpr std::size_t kFirstBuffer = 4096;
constexpr std::size_t kLargestBuffer = std::size_t{1} << 20;  // a group may have very many members

bool is_number(const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// The largest number means "unchanged" to chown().
std::optional<std::uint32_t> parse_number(const std::string& text) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (number == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    return number;
}

/// Calls getpwnam_r or getgrnam_r with ever larger buffers. True if the entry was found.
template <typename Entry, typename Look>
bool look_up(Entry& entry, Look look) {
    std::vector<char> buffer(kFirstBuffer);
    while (true) {
        Entry* found = nullptr;
        const int code = look(&entry, buffer.data(), buffer.size(), &found);
        if (code != ERANGE || buffer.size() >= kLargestBuffer) return code == 0 && found != nullptr;
        buffer.resize(buffer.size() * 2);
    }
}

}  // namespace

base::Result<std::uint32_t> user_number(const std::string& text) {
    if (is_number(text)) {
        if (const auto number = parse_number(text)) return *number;
        return base::failure(fmt::format("\"{}\" is no user's number", text));
    }
    passwd entry{};
    const bool found = look_up(entry, [&](passwd* into, char* buffer, std::size_t size, passwd** result) {
        return ::getpwnam_r(text.c_str(), into, buffer, size, result);
    });
    if (!found) return base::failure(fmt::format("there is no user \"{}\" on this machine", text));
    return entry.pw_uid;
}

base::Result<std::uint32_t> group_number(const std::string& text) {
    if (is_number(text)) {
        if (const auto number = parse_number(text)) return *number;
        return base::failure(fmt::format("\"{}\" is no group's number", text));
    }
    group entry{};
    const bool found = look_up(entry, [&](group* into, char* buffer, std::size_t size, group** result) {
        return ::getgrnam_r(text.c_str(), into, buffer, size, result);
    });
    if (!found) return base::failure(fmt::format("there is no group \"{}\" on this machine", text));
    return entry.gr_gid;
}

}  // namespace palier::config
