#include "control/memory_text.h"

#include <array>
#include <cerrno>
#include <cstddef>

#include <sys/mman.h>
#include <unistd.h>

namespace palier::control {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

}  // namespace

base::Result<int> memory_text(std::string_view text) {
    const int descriptor = ::memfd_create("palier", MFD_CLOEXEC);
    if (descriptor < 0) return base::system_failure("no file in memory", errno);
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written <= 0) {
            const int error = errno;
            ::close(descriptor);
            return base::system_failure("a file in memory", error);
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return descriptor;
}

base::Result<std::string> read_text(int descriptor) {
    std::string text;
    std::array<char, kPiece> piece;
    while (true) {
        const ssize_t got = ::pread(descriptor, piece.data(), piece.size(), static_cast<off_t>(text.size()));
        if (got < 0) return base::system_failure("a file in memory", errno);
        if (got == 0) return text;
        text.append(piece.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace palier::control
