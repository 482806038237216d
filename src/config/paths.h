// Keys whose values are paths of files that others will read later.
// Thread: control only (asks the file system).
#pragma once

#include "config/table_reader.h"

#include <string>
#include <string_view>

namespace palier::config {

/// The path of a regular file that can be opened now, resolved; "" says that there is none.
void read_file_path(TableReader& table, std::string_view key, std::string& path);

/// A string or a list of them: files and directories that can be read now, resolved, each once. Required.
void read_source_paths(TableReader& table, std::string_view key, std::vector<std::string>& paths);

}  // namespace palier::config
