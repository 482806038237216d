// Collects what is wrong while a configuration is read.
// Thread: control only. Owner: the load in progress.
#pragma once

#include "config/document.h"
#include "palier/config/load.h"

#include <cstddef>
#include <string>
#include <vector>

namespace palier::config {

class Mistakes {
  public:
    void add(Place place, std::string message);
    /// About a file that could not be read.
    void add(const std::string& file, std::string message);

    [[nodiscard]] bool empty() const { return found_.empty(); }
    /// In the order in which the files were first read, and of their lines.
    [[nodiscard]] std::vector<Mistake> take(const std::vector<const Document*>& order);

  private:
    struct Found {
        Place place;
        Mistake mistake;
    };
    std::vector<Found> found_;
};

/// "FILE:LINE:COL"
[[nodiscard]] std::string to_string(Place place);

}  // namespace palier::config
