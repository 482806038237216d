// Files of certificates and keys: read whole, within a bound, and told apart from their earlier selves.
// Thread: values, any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

struct stat;

namespace palier::tls {

/// What a file was when it was looked at, as one number: which file, how long, when last changed.
struct FileMark {
    std::uint64_t mark = 0;  // 0: there is no file
    bool recent = false;     // changed a moment ago: may change again within the clock's resolution

    /// Both files' marks as one.
    void join(const FileMark& other);
};

[[nodiscard]] FileMark mark_of(const struct stat& file);
/// Follows symbolic links.
[[nodiscard]] FileMark mark_of(const std::string& path);
/// For still_is(); to be taken before the file is read. 0 where it changed a moment ago, so that it counts as changed.
[[nodiscard]] std::uint64_t mark_to_keep(const std::string& path);
/// Whether the file at `path` is the one that had this mark, unchanged since.
[[nodiscard]] bool still_is(const std::string& path, std::uint64_t mark);

/// A file's bytes, wiped from memory at the end: they may be a key's.
class FileBytes {
  public:
    /// Fails with words for people: what is not a regular file, more than 1 MiB, or not to be read.
    [[nodiscard]] static std::expected<FileBytes, std::string> read(const std::string& path);

    FileBytes() = default;
    ~FileBytes() { wipe(); }
    FileBytes(FileBytes&& other) noexcept : bytes_(std::move(other.bytes_)) { other.wipe(); }
    FileBytes& operator=(FileBytes&& other) noexcept {
        wipe();
        bytes_ = std::move(other.bytes_);
        other.wipe();
        return *this;
    }

    [[nodiscard]] std::string_view view() const { return bytes_; }

  private:
    void wipe();

    std::string bytes_;
};

}  // namespace palier::tls
