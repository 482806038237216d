#include "palier/config/config.h"

#include <fmt/format.h>

namespace palier::config {

std::string ServerConfig::address() const {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                               : fmt::format("[{}]:{}", host, port);
}

}  // namespace palier::config
