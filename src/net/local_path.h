// What a Unix socket needs of the file system: its address, its folder, and one process at a time that changes it.
// Thread: any.
#pragma once

#include "palier/base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>

namespace palier::net {

class LocalAddress {
  public:
    static constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;

    /// None for a path that is too long, or none.
    [[nodiscard]] static std::optional<LocalAddress> of(std::string_view path);

    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name_); }
    [[nodiscard]] socklen_t length() const { return sizeof name_; }

  private:
    sockaddr_un name_{};
};

/// Makes the folder that `path` is in, 0755, if it is missing; not those above it.
[[nodiscard]] base::Result<void> make_folder_of(const std::string& path);

/// Keeps other holders of the folder that `path` is in away, for its own life. Only advice: whoever else locks the folder
/// holds it up for a moment only.
class FolderLock {
  public:
    explicit FolderLock(const std::string& path);
    ~FolderLock();
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

  private:
    int descriptor_;
};

}  // namespace palier::net
