#include "config/backend_tls.h"

#include "config/addresses.h"
#include "config/paths.h"

#include <fmt/format.h>

namespace palier::config {

void read_backend_tls(TableReader& table, BackendTlsKeys& keys) {
    table.read("tls", keys.tls);
    table.read("verify", keys.settings.verify);
    read_file_path(table, "ca", keys.settings.ca);
    const Node* text = table.text("server_name");
    if (text == nullptr) return;
    if (text->string.empty()) {
        keys.settings.server_name.clear();
    } else if (auto name = parse_certificate_name(text->string)) {
        keys.settings.server_name = std::move(*name);
    } else {
        table.mistakes().add(text->place(), name.error().message);
    }
}

void report_unused_tls_keys(TableReader& table) {
    const Node* tls = table.find("tls");
    const bool understood = tls == nullptr || tls->kind == Node::Kind::boolean || tls->expanded;
    if (table.misspelt("tls") || !understood) return;
    for (const std::string_view key : {"verify", "ca", "server_name"}) {
        if (table.has(key)) {
            table.mistakes().add(table.key_place(key),
                                 fmt::format("\"{}\" means nothing without tls = true", table.path_of(key)));
        }
    }
}

}  // namespace palier::config
