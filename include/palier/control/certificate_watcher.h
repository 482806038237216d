// CertificateWatcher: the certificates, ticket keys and TLS contexts of a configuration's listeners, kept as
// fresh as their files: a change is served within two seconds, and touches no open connection.
//
// It looks when a folder changes, a moment after the last of a burst of changes, and once a minute in any
// case: some file systems tell nothing. Listeners that name the same files share them.
//
// Thread: control; what context() gives goes to workers. Owner: the supervisor. Ends: the destructor;
// contexts live on with those who use them.
#pragma once

#include "palier/base/result.h"
#include "palier/base/timer_wheel.h"
#include "palier/config/config.h"
#include "palier/net/folder_watcher.h"
#include "palier/net/loop.h"
#include "palier/tls/certificate_store.h"
#include "palier/tls/server_context.h"
#include "palier/tls/ticket_keys.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace palier::control {

class CertificateWatcher {
  public:
    CertificateWatcher(net::Loop& loop, std::shared_ptr<const config::Config> config);
    CertificateWatcher(const CertificateWatcher&) = delete;
    CertificateWatcher& operator=(const CertificateWatcher&) = delete;

    /// Reads everything and begins to watch; what is wrong without being in the way is logged. Fails with a
    /// sentence when a listener has no usable certificate, or its settings cannot be met.
    [[nodiscard]] base::Result<void> load();

    /// Of the configuration's listener of this index; null for one without TLS.
    [[nodiscard]] std::shared_ptr<const tls::ServerContext> context(std::size_t listener) const {
        return contexts_[listener];
    }

    /// Every certificate in use, for `palier ctl certificates`.
    [[nodiscard]] std::vector<tls::ListedCertificate> certificates() const;
    /// Looks at all files now.
    void look();

  private:
    using Stores = std::map<std::vector<std::string>, std::shared_ptr<tls::CertificateStore>>;

    [[nodiscard]] base::Result<void> make_context(const config::ListenerConfig& listener);
    [[nodiscard]] base::Result<std::shared_ptr<tls::TicketKeys>> tickets_of(const std::string& path);
    [[nodiscard]] std::shared_ptr<tls::CertificateStore> store_of(const std::vector<std::string>& sources);
    void on_change(const std::string& folder, std::string_view name);
    void watch_folders();
    void look_again_in(std::uint64_t ms);
    void reread_tickets();

    net::Loop& loop_;
    std::shared_ptr<const config::Config> config_;
    Stores stores_;                                                    // by their sources
    std::map<std::string, std::shared_ptr<tls::TicketKeys>> tickets_;  // by their file; "": random
    std::map<std::string, std::string> ticket_failures_;               // as logged
    std::vector<std::shared_ptr<const tls::ServerContext>> contexts_;  // by listener
    std::vector<std::string> whole_folders_;           // in which every change matters; sorted
    std::multimap<std::string, std::string> entries_;  // folder and name of what is named itself
    bool blind_ = false;                               // some folders cannot be watched
    std::uint64_t first_change_ms_ = 0;                // that was not looked at yet; 0: none
    net::FolderWatcher folders_;
    base::Timer timer_;
};

}  // namespace palier::control
