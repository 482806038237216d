// StateFile: a small file that is whole at any time: a reader finds what was written last, or what was there before.
//
// write() makes a temporary file beside it (NAME.new-PID), syncs it, renames it and syncs the folder; palier may be killed
// at any instant of that. It waits for the disk.
//
// Thread: control only. Owner: the Overlay.
#pragma once

#include "palier/base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace palier::control {

class StateFile {
  public:
    explicit StateFile(std::string path) : path_(std::move(path)) {}

    [[nodiscard]] const std::string& path() const { return path_; }

    /// None: there is no file. Fails with the reason for what is not a regular file, longer than `most`, or not to be read.
    [[nodiscard]] base::Result<std::optional<std::string>> read(std::size_t most) const;
    /// Why write() would fail, as far as can be told without it; "" if nothing is known against it.
    [[nodiscard]] std::string obstacle() const;
    /// "", or why it could not be written; what was there before is there still, or `text` is already.
    [[nodiscard]] std::string write(std::string_view text) const;
    /// Renames the file to NAME.broken-TIME and gives that name. Fails with the reason.
    [[nodiscard]] base::Result<std::string> set_aside() const;
    /// Removes what processes that were killed while writing have left.
    void tidy() const;

  private:
    [[nodiscard]] std::string folder() const;

    std::string path_;
};

}  // namespace palier::control
