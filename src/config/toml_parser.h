// From TOML text to a tree of places. toml11 and its exceptions stay behind this header.
// Thread: control only.
#pragma once

#include "config/document.h"
#include "config/mistakes.h"

namespace palier::config {

/// Fills `document.root` and `document.complete` from `document.text`. A line with a syntax error is reported
/// and left out where the rest can still be understood without it.
void parse_toml(Document& document, Mistakes& mistakes);

}  // namespace palier::config
