// Router: which route an exchange takes, by host and path. The most specific host decides first: exact, then
// the longest wildcard, then any; inside a host an exact path, then the longest prefix. Where a host has no
// route for the path, the next less specific host is asked. Lookups allocate nothing and cost O(log n) in the
// number of routes. Thread: immutable, any thread. Owner: the Snapshot, beside the Config, which must outlive
// it.
#pragma once

#include "palier/config/config.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace palier::proxy {

/// In place of a listener's index: one that is not in the configuration. It has the routes that name no listener.
inline constexpr std::size_t kNoListener = std::numeric_limits<std::size_t>::max();

class Router {
  public:
    /// The routes of the listener with this index in `config.listeners`, or of kNoListener.
    Router(const config::Config& config, std::size_t listener);

    /// `host` as the client sent it, in any case, without a port, with or without a final dot; `path`
    /// canonical, without the query. nullptr: no route.
    [[nodiscard]] const config::RouteConfig* find(std::string_view host, std::string_view path) const;

  private:
    /// The routes of one host pattern.
    class Paths {
      public:
        void add(const config::RouteConfig& route);
        /// After the last add() and before the first find().
        void link_prefixes();
        [[nodiscard]] const config::RouteConfig* find(std::string_view path) const;

      private:
        static constexpr std::uint32_t kNone = 0xffff'ffff;
        struct Prefix {
            const config::RouteConfig* route;
            std::uint32_t shorter;  // index of the longest other prefix that this one starts with
        };

        [[nodiscard]] const config::RouteConfig* find_prefix(std::string_view path) const;

        std::unordered_map<std::string_view, const config::RouteConfig*> exact_;
        std::vector<Prefix> prefixes_;  // by path
    };

    [[nodiscard]] const config::RouteConfig* find_in_hosts(std::string_view host,
                                                           std::string_view path) const;

    // Keys are views of the configuration's strings; a wildcard's begins with its dot.
    std::unordered_map<std::string_view, Paths> hosts_;
    std::unordered_map<std::string_view, Paths> wildcards_;
    std::size_t longest_wildcard_ = 0;  // bytes of a key
    Paths any_host_;
};

}  // namespace palier::proxy
