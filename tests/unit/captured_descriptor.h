// What a test's code writes to stdout or stderr: the descriptor leads to a file until the object dies.
#pragma once

#include <array>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace palier::test {

class CapturedDescriptor {
  public:
    explicit CapturedDescriptor(int fd)
        : fd_(fd), saved_(::fcntl(fd, F_DUPFD_CLOEXEC, 3)), file_(std::tmpfile()) {
        ::dup2(::fileno(file_), fd_);
    }
    ~CapturedDescriptor() {
        ::dup2(saved_, fd_);
        ::close(saved_);
        std::fclose(file_);
    }
    CapturedDescriptor(const CapturedDescriptor&) = delete;
    CapturedDescriptor& operator=(const CapturedDescriptor&) = delete;

    /// All that was written so far.
    [[nodiscard]] std::string text() const {
        std::string out;
        std::array<char, 4096> chunk;
        for (;;) {
            const ssize_t size =
                ::pread(::fileno(file_), chunk.data(), chunk.size(), static_cast<off_t>(out.size()));
            if (size <= 0) return out;
            out.append(chunk.data(), static_cast<std::size_t>(size));
        }
    }

  private:
    int fd_;
    int saved_;
    std::FILE* file_;
};

}  // namespace palier::test
