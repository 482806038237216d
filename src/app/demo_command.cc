#include "app/demo_command.h"

#include "app/commands.h"
#include "app/memory_file.h"
#include "app/supervisor.h"
#include "palier/config/load.h"
#include "palier/demo/front.h"
#include "palier/demo/guide.h"
#include "palier/net/listener.h"
#include "palier/net/mailbox.h"
#include "palier/tls/self_signed.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <unistd.h>

namespace palier::app {
namespace {

struct Named {
    const char* name;
    unsigned weight;
};
constexpr std::array kFronts{Named{"front1", 3}, Named{"front2", 2}, Named{"front3", 1}};

/// The fronts, on a loop and a thread of their own, as if they were other processes.
class Fronts {
  public:
    [[nodiscard]] base::Result<void> listen() {
        for (const Named& front : kFronts) {
            fronts_.push_back(std::make_unique<demo::Front>(loop_, front.name, front.weight));
            if (auto listening = fronts_.back()->listen(); !listening) return listening;
        }
        return {};
    }

    void start() {
        mailbox_ = std::make_unique<net::Mailbox>(loop_);
        thread_ = std::thread([this] { loop_.run(); });
    }

    ~Fronts() {
        if (thread_.joinable()) {
            mailbox_->post([this] { loop_.stop(); });
            thread_.join();
        }
        fronts_.clear();
    }

    [[nodiscard]] std::vector<demo::FrontAddress> addresses() const {
        std::vector<demo::FrontAddress> addresses;
        for (const auto& front : fronts_)
            addresses.push_back({front->name(), front->port(), front->weight()});
        return addresses;
    }

  private:
    net::Loop loop_;
    std::unique_ptr<net::Mailbox> mailbox_;
    std::vector<std::unique_ptr<demo::Front>> fronts_;
    std::thread thread_;
};

/// A port of 127.0.0.1 that is free at this moment.
base::Result<std::uint16_t> free_port() {
    const auto descriptor = net::listen_on(*base::SocketAddress::parse("127.0.0.1:0"), false);
    if (!descriptor) return std::unexpected(descriptor.error());
    const std::uint16_t port = net::bound_address(*descriptor).port();
    ::close(*descriptor);
    return port;
}

base::Result<demo::ProxyPorts> ports_of(const DemoOptions& options) {
    demo::ProxyPorts ports{.http = options.port, .https = options.tls_port};
    if (ports.https != 0) return ports;
    const auto port = free_port();
    if (!port) return std::unexpected(port.error());
    ports.https = *port;
    return ports;
}

base::Result<MemoryFile> make_certificate() {
    const std::array<std::string, 3> names{"localhost", "127.0.0.1", "::1"};
    const auto pem = tls::self_signed_pem(names);
    if (!pem) return std::unexpected(pem.error());
    return MemoryFile::holding(*pem);
}

/// Of a demo on this port; the user's own folder, where there is one.
std::string control_socket(std::uint16_t port) {
    const char* folder = std::getenv("XDG_RUNTIME_DIR");
    return fmt::format("{}/palier-demo-{}.sock", folder != nullptr && *folder != '\0' ? folder : "/tmp",
                       port);
}

int refuse(const std::string& message) {
    fmt::print(stderr, "palier: {}\n", message);
    return kRefused;
}

}  // namespace

int demo_command(const DemoOptions& options) {
    Fronts fronts;
    if (const auto listening = fronts.listen(); !listening) return refuse(listening.error().message);
    const auto addresses = fronts.addresses();
    const auto ports = ports_of(options);
    if (!ports) return refuse(ports.error().message);
    if (options.print_config) {
        fmt::print("{}", demo::config_text(*ports, addresses, ""));
        return kDone;
    }
    const auto certificate = make_certificate();
    if (!certificate) return refuse(certificate.error().message);
    auto config = config::load_text(demo::config_text(*ports, addresses, certificate->path()), "demo", ".");
    if (!config) return refuse(config.error().front().to_string());
    const std::string socket = config->control_socket = control_socket(ports->http);
    fronts.start();
    Supervisor supervisor(std::move(*config));
    if (const auto started = supervisor.start(); !started) return refuse(started.error().message);
    fmt::print("{}", demo::what_to_try("palier", *ports, addresses, socket));
    std::fflush(stdout);
    supervisor.run();
    return kDone;
}

}  // namespace palier::app
