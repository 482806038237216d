// MemoryFile: a text in memory under a path, for code that reads files. Nobody else's processes can open it.
// Thread: any. Owner: whoever names the path to others. Ends: the destructor; the path then leads nowhere.
#pragma once

#include "palier/base/result.h"

#include <string>
#include <string_view>
#include <utility>

namespace palier::app {

class MemoryFile {
  public:
    [[nodiscard]] static base::Result<MemoryFile> holding(std::string_view text);
    MemoryFile(MemoryFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    ~MemoryFile();
    MemoryFile& operator=(MemoryFile&&) = delete;

    /// Of this process.
    [[nodiscard]] std::string path() const;

  private:
    explicit MemoryFile(int descriptor) : descriptor_(descriptor) {}
    int descriptor_;
};

}  // namespace palier::app
