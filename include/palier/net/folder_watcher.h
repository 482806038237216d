// FolderWatcher: tells when something in a directory has changed: files made, written, renamed or removed.
// Where the kernel tells nothing (network file systems, changes behind a symbolic link), neither does this.
// Thread: the loop's. Owner: whoever wants to know. Ends: the destructor.
#pragma once

#include "palier/base/result.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace palier::net {

class FolderWatcher {
  public:
    /// `name`: the entry's in the folder; empty where it is not known.
    using Changed = std::function<void(const std::string& folder, std::string_view name)>;

    FolderWatcher(Loop& loop, Changed changed) : loop_(loop), changed_(std::move(changed)) {}
    ~FolderWatcher();
    FolderWatcher(const FolderWatcher&) = delete;
    FolderWatcher& operator=(const FolderWatcher&) = delete;

    /// Watches these folders and no others. One that has become another directory since (moved away and made
    /// anew, a symbolic link that points elsewhere) is watched anew. Gives an error for each that cannot be.
    std::vector<base::Error> watch(const std::vector<std::string>& folders);

  private:
    struct Handle;
    struct Watched {
        Handle* handle = nullptr;
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
    };

    [[nodiscard]] base::Result<void> watch_one(const std::string& folder);
    void close(Handle* handle);

    Loop& loop_;
    Changed changed_;
    std::map<std::string, Watched> watched_;
};

}  // namespace palier::net
