// ClientContext: how palier speaks TLS to one server: whose certificates it believes, under which name, and
// the latest session, which the next connection resumes.
//
// Thread: make() control; the rest any. Owner: shared by the pool snapshots that name the server.
// Ends: with the last of them.
#pragma once

#include "palier/base/result.h"
#include "palier/config/config.h"

#include <memory>
#include <mutex>
#include <string>

struct ssl_st;
struct ssl_session_st;

namespace palier::tls {

class ClientContext {
  public:
    /// `host`: the server's, used where the configuration gives no server_name. Fails with a sentence that
    /// names the file at fault.
    [[nodiscard]] static base::Result<std::shared_ptr<const ClientContext>> make(
        const config::BackendTlsConfig& config, const std::string& host);
    ~ClientContext();
    ClientContext(const ClientContext&) = delete;
    ClientContext& operator=(const ClientContext&) = delete;

    /// The client's side of one connection; null without memory. The caller frees it with SSL_free(), and
    /// keeps this context for as long.
    [[nodiscard]] ssl_st* start() const;
    /// The file of certificates that it believes is still the one that it read.
    [[nodiscard]] bool up_to_date() const;

  private:
    struct Trust;

    ClientContext(std::shared_ptr<const Trust> trust, std::string name, bool verify);
    static int on_session(ssl_st* ssl, ssl_session_st* session);

    std::shared_ptr<const Trust> trust_;
    std::string name_;
    bool is_address_;
    bool verify_;
    mutable std::mutex mutex_;
    mutable ssl_session_st* session_ = nullptr;  // guarded by mutex_; null before the first
};

}  // namespace palier::tls
