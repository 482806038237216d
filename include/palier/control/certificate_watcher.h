// CertificateWatcher: the certificates, ticket keys and TLS contexts of a configuration's listeners, kept as
// fresh as their files: a change is served within two seconds, and touches no open connection.
//
// It looks when a folder changes, a moment after the last of a burst of changes, and once a minute in any
// case: some file systems tell nothing. Listeners that name the same files share them, and so do the configurations
// before and after a reload.
//
// Thread: control; what contexts() gives goes to workers. Owner: the supervisor. Ends: the destructor;
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
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace palier::control {

class CertificateWatcher {
  public:
    using Sources = std::vector<std::string>;  // directories and PEM files, as a listener names them
    using Stores = std::map<Sources, std::shared_ptr<tls::CertificateStore>>;

    /// What a configuration needs, ready to be put in force.
    struct Plan {
        Stores stores;
        std::map<std::string, std::shared_ptr<tls::TicketKeys>> tickets;  // by their file; "": random
        struct Context {
            std::string listener;
            std::optional<config::ListenerTlsConfig> config;  // none: without TLS
        };
        std::vector<Context> listeners;
        std::vector<std::shared_ptr<const tls::ServerContext>> contexts;  // by listener
    };

    explicit CertificateWatcher(net::Loop& loop);
    CertificateWatcher(const CertificateWatcher&) = delete;
    CertificateWatcher& operator=(const CertificateWatcher&) = delete;

    /// Random ticket keys of another process, before the first prepare(): its sessions go on here.
    void take_tickets(std::shared_ptr<tls::TicketKeys> random) { plan_.tickets[""] = std::move(random); }
    /// This one's, for another; null before there are any.
    [[nodiscard]] std::shared_ptr<const tls::TicketKeys> random_tickets() const;

    /// Lists that are in use, whose certificates need not be read again.
    [[nodiscard]] std::set<Sources> in_use() const;
    /// Reads the certificates of `config` that are not in `known`, which may take long. Thread: any.
    [[nodiscard]] static Stores read(const config::Config& config, const std::set<Sources>& known);

    /// Makes ready what `config` needs; nothing changes yet. What did not change is shared with what is in force:
    /// stores, ticket keys, and contexts, so that sessions go on. `fresh`: what read() gave. Fails with a sentence when
    /// a listener has no usable certificate, or its settings cannot be met; what is wrong without being in the way is
    /// logged.
    [[nodiscard]] base::Result<Plan> prepare(const config::Config& config, const Stores& fresh) const;
    /// Puts it in force, and watches its files and no others.
    void commit(Plan plan);
    /// All three at once, for a start.
    [[nodiscard]] base::Result<void> load(const config::Config& config);

    /// By the configuration's listeners; null for those without TLS.
    [[nodiscard]] std::span<const std::shared_ptr<const tls::ServerContext>> contexts() const {
        return plan_.contexts;
    }
    [[nodiscard]] std::shared_ptr<const tls::ServerContext> context(std::size_t listener) const {
        return plan_.contexts[listener];
    }

    /// Every certificate in use, for `palier ctl certificates`.
    [[nodiscard]] std::vector<tls::ListedCertificate> certificates() const;
    /// What cannot be used, and what will not do for clients (expired, not yet valid), as of the last look; sorted.
    [[nodiscard]] std::vector<tls::CertificateProblem> problems() const;
    /// Looks at all files now.
    void look();
    /// Frees what is no longer in force and in nobody's use: large stores are not to be freed by a worker.
    void forget_retired();

  private:
    [[nodiscard]] base::Result<void> plan_listener(const config::ListenerConfig& listener,
                                                   const Stores& fresh, Plan& plan) const;
    [[nodiscard]] std::shared_ptr<tls::CertificateStore> store_of(const Sources& sources, const Stores& fresh,
                                                                  Plan& plan) const;
    [[nodiscard]] base::Result<std::shared_ptr<tls::TicketKeys>> tickets_of(const std::string& path,
                                                                            Plan& plan) const;
    [[nodiscard]] std::shared_ptr<const tls::ServerContext> kept(const Plan::Context& wanted) const;
    void retire(const Plan& before);
    void name_entries();
    void on_change(const std::string& folder, std::string_view name);
    void watch_folders();
    void look_again_in(std::uint64_t ms);
    void reread_tickets();

    net::Loop& loop_;
    Plan plan_;                                           // in force
    std::vector<std::shared_ptr<const void>> retired_;    // stores and contexts that workers may still use
    std::map<std::string, std::string> ticket_failures_;  // as logged
    std::vector<std::string> whole_folders_;              // in which every change matters; sorted
    std::multimap<std::string, std::string> entries_;     // folder and name of what is named itself
    bool blind_ = false;                                  // some folders cannot be watched
    std::uint64_t first_change_ms_ = 0;                   // that was not looked at yet; 0: none
    net::FolderWatcher folders_;
    base::Timer timer_;
};

}  // namespace palier::control
