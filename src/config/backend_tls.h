// What a pool and its servers say about TLS toward them: tls, verify, ca and server_name.
// Thread: control only. Owner: one load.
#pragma once

#include "config/table_reader.h"

namespace palier::config {

/// A pool's keys, which are the defaults of its servers' own.
struct BackendTlsKeys {
    bool tls = false;
    BackendTlsConfig settings;
};

/// Takes from `table` what is there and leaves the rest.
void read_backend_tls(TableReader& table, BackendTlsKeys& keys);

/// Reports keys of `table` that say how to speak TLS where nobody does.
void report_unused_tls_keys(TableReader& table);

}  // namespace palier::config
