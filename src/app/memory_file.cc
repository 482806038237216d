#include "app/memory_file.h"

#include <cerrno>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace palier::app {

base::Result<MemoryFile> MemoryFile::holding(std::string_view text) {
    MemoryFile file(::memfd_create("palier", MFD_CLOEXEC));
    if (file.descriptor_ < 0) return base::system_failure("no file in memory", errno);
    if (::fchmod(file.descriptor_, S_IRUSR | S_IWUSR) != 0)
        return base::system_failure("a file in memory", errno);
    while (!text.empty()) {
        const ssize_t written = ::write(file.descriptor_, text.data(), text.size());
        if (written < 0) return base::system_failure("a file in memory", errno);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return file;
}

MemoryFile::~MemoryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

std::string MemoryFile::path() const {
    return fmt::format("/proc/self/fd/{}", descriptor_);
}

}  // namespace palier::app
