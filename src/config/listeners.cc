#include "config/addresses.h"
#include "config/listener_tls.h"
#include "config/sections.h"

#include <array>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::array<Choice<ProxyProtocol>, 3> kProxyProtocols{{{"off", ProxyProtocol::off},
                                                                {"optional", ProxyProtocol::optional},
                                                                {"required", ProxyProtocol::required}}};

using Bound = std::unordered_map<std::string, Place>;  // by address

void read_addresses(TableReader& table, ListenerConfig& listener, Bound& bound) {
    for (const Node* text : table.required_texts("address")) {
        const auto address = parse_listener_address(text->string);
        if (!address) {
            table.mistakes().add(text->place(), address.error().message);
            continue;
        }
        listener.addresses.push_back(*address);
        if (address->port() == 0) continue;
        const auto [earlier, is_new] = bound.try_emplace(address->to_string(), text->place());
        if (!is_new) {
            table.mistakes().add(
                text->place(), fmt::format("\"{}\" is listened on twice; the first time at {}", text->string,
                                           to_string(earlier->second)));
        }
    }
}

void read_proxy_protocol(TableReader& table, ListenerConfig& listener, const Config& config) {
    table.read("proxy_protocol", listener.proxy_protocol, kProxyProtocols);
    if (listener.proxy_protocol == ProxyProtocol::required && config.trusted_proxies.empty()) {
        table.mistakes().add(
            table.key_place("proxy_protocol"),
            "\"required\" without \"trusted_proxies\" would close every connection: PROXY headers are "
            "believed from trusted proxies only");
    }
}

}  // namespace

void read_listeners(TableReader& root, Reading& reading) {
    Bound bound;
    const auto nodes = root.tables("listener");
    if (root.misspelt("listener") || (nodes.empty() && root.meant("listener")))
        reading.listeners.set_incomplete();
    for (const Node* node : nodes) {
        TableReader table(*node, "listener", reading.mistakes);
        ListenerConfig& listener = reading.config.listeners.emplace_back();
        listener.name =
            reading.listeners.read(table, "listener", reading.config.listeners.size() - 1, reading.mistakes);
        read_addresses(table, listener, bound);
        read_proxy_protocol(table, listener, reading.config);
        read_listener_tls(table, listener);
        table.finish();
    }
    if (!root.meant("listener") && reading.complete) {
        reading.mistakes.add(root.place(),
                             "there is no listener, so nobody could connect; add for example\n"
                             "    [[listener]]\n"
                             "    name    = \"http\"\n"
                             "    address = [\"0.0.0.0:80\", \"[::]:80\"]");
    }
}

}  // namespace palier::config
