// How the supervisor takes another palier's place, and gives its own up: app/upgrade.h has the steps.
//
// Everything that may fail is prepared beside the palier that runs, which serves on meanwhile; nothing that others notice
// is done before it has let go.
#include "app/supervisor.h"
#include "palier/base/log.h"
#include "palier/config/units.h"

#include <utility>

namespace palier::app {

Upgrade::Invocation Supervisor::invocation() const {
    // The file may name another control socket by then.
    std::vector<std::string> arguments{"run", "-c", source_.file, "--take-over=" + config_->control_socket};
    if (source_.workers) {
        arguments.emplace_back("--workers");
        arguments.push_back(std::to_string(*source_.workers));
    }
    return {.binary = own_binary(), .file = source_.file, .arguments = std::move(arguments)};
}

Upgrade::Hooks Supervisor::upgrade_hooks() {
    return {.obstacle = [this] { return obstacle_to_upgrade(); },
            .estate = [this] { return estate(); },
            .hand_over = [this] { hand_over(); },
            .leave_control_path = [this](int channel) { leave_control_path(channel); },
            .ended =
                [this](int exit_code) {
                    begin_stop(exit_code == 0 ? config_->shutdown_grace : config::Duration{0});
                }};
}

// The new one.

base::Result<void> Supervisor::inherit() {
    const control::Estate* const estate = upgrade_.inherited();
    if (estate == nullptr) {
        overlay_.load();
        return {};
    }
    base::log_info("taking the place of a palier {}", estate->version);
    builder_.count_on_from(estate->generation);
    if (!estate->ticket_keys.empty()) {
        auto keys = tls::TicketKeys::imported(estate->ticket_keys);
        if (!keys) return std::unexpected(keys.error());
        certificates_.take_tickets(std::move(*keys));
    }
    return overlay_.import(estate->overlay);
}

void Supervisor::inherit_sockets() {
    control::Estate* const estate = upgrade_.inherited();
    if (estate == nullptr) return;
    for (control::Estate::Sockets& sockets : estate->listeners)
        listening_.adopt(std::move(sockets.key), std::exchange(sockets.descriptors, {}));
}

bool Supervisor::inherits_admin(const config::Config& config) {
    const control::Estate* const estate = upgrade_.inherited();
    return estate != nullptr && estate->admin >= 0 && estate->admin_address == config.admin;
}

/// From here on nothing fails.
base::Result<void> Supervisor::step_in() {
    if (upgrade_.inherited() == nullptr) return {};
    if (early_stop_) return base::failure("it was told to stop before it was ready");
    if (auto stepped = upgrade_.step_in(); !stepped) return stepped;
    listening_.commit(std::move(*std::exchange(plan_, std::nullopt)));
    port_ = listening_.rows().front().address.port();
    if (inherits_admin(*config_)) admin_->adopt(std::exchange(upgrade_.inherited()->admin, -1));
    return {};
}

void Supervisor::stepped_in() {
    const bool had_former = upgrade_.inherited() != nullptr;
    if (had_former) {
        for (const int channel : std::exchange(upgrade_.inherited()->predecessors, {}))
            predecessors_.add(channel);
    }
    if (control_) {
        if (const auto moved = control_->move_into_place(); !moved)
            base::log_error("{}: no commands can be given", moved.error().message);
    }
    if (const int channel = upgrade_.serves(); channel >= 0) predecessors_.add(channel);
    if (!had_former) return;
    predecessors_.decide(overlay_.exported(), [] {});
    // Its state file may not be the former one's.
    overlay_.keep();
}

// The old one.

std::string Supervisor::obstacle_to_upgrade() const {
    if (source_.file.empty())
        return "there is no file to start another palier from: the configuration was built in";
    if (const auto obstacle = obstacle_to_change(); !obstacle.empty()) return std::string(obstacle);
    if (self_drained_) return "palier is drained: `enable self` comes first";
    if (reload_.busy()) return "a reload is under way: try again in a moment";
    return rollouts_.under_way();
}

control::Estate Supervisor::estate() {
    control::Estate estate;
    estate.version = PALIER_VERSION;
    estate.generation = builder_.current()->generation;
    if (const auto keys = certificates_.random_tickets()) estate.ticket_keys = keys->exported();
    estate.overlay = overlay_.exported();
    control::note_standing(*builder_.current(), estate);
    for (const Listening::Row& row : listening_.rows())
        estate.listeners.push_back({row.key, row.descriptors});
    estate.admin_address = config_->admin;
    if (admin_) estate.admin = admin_->descriptor();
    estate.predecessors = predecessors_.channels();
    return estate;
}

void Supervisor::hand_over() {
    overlay_.let_go();
    predecessors_.leave();
    listening_.forget();
    if (admin_) admin_->hand_over();
    base::log_info("leaving: exchanges and tunnels have {} to end", config::to_text(config_->tunnel_grace));
    team_.hand_over(config_->tunnel_grace, [] {});
}

void Supervisor::leave_control_path(int channel) {
    if (control_) control_->stop_listening();
    if (channel < 0) return;
    control::Engine& engine = *this;
    last_clients_ = std::make_unique<control::LastClients>(loop_, channel, engine, overlay_);
}

}  // namespace palier::app
