// Result<T>: a value, or an Error that already knows who failed and whether another server may be tried.
// Thread: values, any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace palier::base {

/// On whose side the fault lies.
enum class Side : std::uint8_t { ourselves, client, backend };

/// Whether doing the same again, elsewhere, could help without harm.
enum class Retry : std::uint8_t { no, safe };

struct Error {
    std::string message;  // a sentence for people, without a final stop
    Side side = Side::ourselves;
    Retry retry = Retry::no;
    int code = 0;  // an errno, where one is the cause
};

template <typename T>
using Result = std::expected<T, Error>;

/// An Error of our own making.
[[nodiscard]] inline std::unexpected<Error> failure(std::string message) {
    return std::unexpected(Error{std::move(message), Side::ourselves, Retry::no, 0});
}

/// "`what`: text of `code`", where `code` is an errno.
[[nodiscard]] std::unexpected<Error> system_failure(const std::string& what, int code);

}  // namespace palier::base
