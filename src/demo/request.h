// SeenRequest: a request as a front saw it, with strings of its own.
// Thread: any; a value. Owner: the front's connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace palier::demo {

struct SeenField {
    std::string name;
    std::string value;
};

struct SeenRequest {
    std::string method;
    std::string target;  // path and query
    std::vector<SeenField> fields;
    std::uint64_t body_bytes = 0;
    std::string peer;  // who connected: the proxy, or a client that came directly

    /// The first field of that name, case aside; "" for none.
    [[nodiscard]] std::string_view field(std::string_view name) const;
    [[nodiscard]] std::string_view path() const;
    /// A query parameter as sent; "" for none.
    [[nodiscard]] std::string_view parameter(std::string_view name) const;
};

}  // namespace palier::demo
