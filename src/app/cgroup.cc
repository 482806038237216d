#include "app/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace palier::app {
namespace {

namespace fs = std::filesystem;

/// cgroup v1 says "no limit" by a number near the greatest one, rounded to pages.
constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 60;

std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

/// The first word; nothing where that is no number, such as "max".
std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    return number;
}

std::optional<std::uint64_t> number_in(const fs::path& file) {
    return number_of(text_of(file));
}

/// Of lines "key number".
std::uint64_t value_in(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ')
            return number_of(line.substr(key.size() + 1)).value_or(0);
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return 0;
}

bool contains_word(std::string_view list, std::string_view word) {
    while (!list.empty()) {
        const std::string_view one = list.substr(0, list.find(','));
        if (one == word) return true;
        list.remove_prefix(std::min(list.size(), one.size() + 1));
    }
    return false;
}

/// From the group itself to the top.
std::vector<fs::path> way_up(fs::path folder, const fs::path& top) {
    std::vector<fs::path> way;
    while (!folder.empty()) {
        way.push_back(folder);
        if (folder == top || folder == folder.parent_path()) break;
        folder = folder.parent_path();
    }
    return way;
}

std::optional<double> quota_of(const fs::path& folder, bool v2) {
    std::optional<std::uint64_t> quota;
    std::optional<std::uint64_t> period;
    if (v2) {
        const std::string text = text_of(folder / "cpu.max");
        quota = number_of(text);
        period = number_of(std::string_view(text).substr(std::min(text.size(), text.find(' ') + 1)));
    } else {
        quota = number_in(folder / "cpu.cfs_quota_us");  // -1, which is no number here: no limit
        period = number_in(folder / "cpu.cfs_period_us");
    }
    if (!quota || !period || *period == 0) return std::nullopt;
    return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<Cgroup::Memory> memory_of(const fs::path& folder, bool v2) {
    auto limit = number_in(folder / (v2 ? "memory.max" : "memory.limit_in_bytes"));
    // From "high" on the kernel slows a process down to next to nothing, well before it ends it.
    if (const auto high = v2 ? number_in(folder / "memory.high") : std::nullopt)
        limit = std::min(*high, limit.value_or(*high));
    const auto used = number_in(folder / (v2 ? "memory.current" : "memory.usage_in_bytes"));
    if (!limit || !used || *limit >= kUnlimited || *limit == 0) return std::nullopt;
    const std::string stat = text_of(folder / "memory.stat");
    const std::uint64_t files =
        v2 ? value_in(stat, "inactive_file") + value_in(stat, "active_file")
           : value_in(stat, "total_inactive_file") + value_in(stat, "total_active_file");
    return Cgroup::Memory{.limit = *limit, .used = *used - std::min(*used, files)};
}

}  // namespace

Cgroup::Cgroup(fs::path root) : root_(std::move(root)), cpu_(find("cpu")), memory_(find("memory")) {}

/// By proc's lines "number:controllers:path"; the one of v2 has the number 0 and names no controllers.
Cgroup::Group Cgroup::find(const char* controller) const {
    std::istringstream lines(text_of(root_ / "proc/self/cgroup"));
    std::optional<Group> unified;
    for (std::string line; std::getline(lines, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string path = line.substr(std::min(line.size(), second + 2));  // without its slash
        Group group{.folder = {}, .top = root_ / "sys/fs/cgroup", .v2 = controllers.empty()};
        if (!group.v2) group.top /= controller;  // a link, where controllers are mounted together
        group.folder = path.empty() ? group.top : group.top / path;
        // A container may see its own group as the top, under a name that only the host knows.
        std::error_code unreadable;
        if (!fs::exists(group.folder, unreadable)) group.folder = group.top;
        if (group.v2) {
            unified = group;
        } else if (contains_word(controllers, controller)) {
            return group;
        }
    }
    return unified.value_or(Group{});
}

std::optional<double> Cgroup::cpu_quota() const {
    std::optional<double> tightest;
    for (const fs::path& folder : way_up(cpu_.folder, cpu_.top)) {
        const auto quota = quota_of(folder, cpu_.v2);
        if (quota && (!tightest || *quota < *tightest)) tightest = quota;
    }
    return tightest;
}

std::optional<Cgroup::Memory> Cgroup::memory() const {
    std::optional<Memory> tightest;
    const auto room = [](const Memory& one) { return one.limit - std::min(one.limit, one.used); };
    for (const fs::path& folder : way_up(memory_.folder, memory_.top)) {
        const auto found = memory_of(folder, memory_.v2);
        if (found && (!tightest || room(*found) < room(*tightest))) tightest = found;
    }
    return tightest;
}

}  // namespace palier::app
