// The files of one configuration: the one that was named and those that it includes.
// `include` patterns start at the including file's folder; included files may include more. A file is read
// once only, so circles end; a pattern's match that has been read already is a mistake.
// Thread: control only. Owner: one load; Nodes and Places point into it.
#pragma once

#include "config/document.h"
#include "config/mistakes.h"
#include "config/table_reader.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace palier::config {

class Sources {
  public:
    explicit Sources(Mistakes& mistakes) : mistakes_(mistakes) {}

    /// Reads a file and all that it includes.
    void add_file(const std::string& path);
    void add_text(const std::string& text, const std::string& name, const std::string& folder);

    [[nodiscard]] bool empty() const { return documents_.empty(); }
    /// Whether everything could be read and understood: if not, what seems missing may be there.
    [[nodiscard]] bool complete() const { return complete_; }
    /// In the order of reading.
    [[nodiscard]] std::vector<const Document*> order() const;

    /// All files as one table: listeners, pools and routes are joined, everything else may be set once.
    [[nodiscard]] TableReader root();

  private:
    struct Origin {
        const Document* document = nullptr;  // nullptr: named by the operator
        Place place;                         // of the include
    };

    void add(const std::string& text, const std::string& name, const std::string& folder);
    void follow_includes(const Document& document);
    void include(const Document& document, const Node& pattern);
    void include_file(const Document& document, const Node& pattern, const std::string& path);

    Mistakes& mistakes_;
    std::vector<std::unique_ptr<Document>> documents_;
    std::map<std::string, Origin> read_;  // by canonical path
    bool complete_ = true;
};

}  // namespace palier::config
