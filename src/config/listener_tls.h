// What a listener says about TLS and HTTP/2: [listener.tls], http2 and hsts.
// Thread: control only. Owner: one load.
#pragma once

#include "config/table_reader.h"

namespace palier::config {

/// Paths are resolved, and must be there and readable; what is in the files is for others to judge.
void read_listener_tls(TableReader& table, ListenerConfig& listener);

}  // namespace palier::config
