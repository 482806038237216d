// CtlConnection: a blocking client of the control socket. Thread: its owner's. Ends: the destructor.
#pragma once

#include "palier/base/result.h"

#include <optional>
#include <string>
#include <string_view>

namespace palier::app {

class CtlConnection {
  public:
    /// The error says what to look at.
    [[nodiscard]] static base::Result<CtlConnection> open(const std::string& path);
    ~CtlConnection();
    CtlConnection(CtlConnection&& other) noexcept;
    CtlConnection& operator=(CtlConnection&&) = delete;

    /// A line without its end. What fails here, the answer tells: palier may have said why before it closed.
    void send(std::string_view line);
    /// The next line, without its end; none when palier has closed the connection.
    [[nodiscard]] std::optional<std::string> receive();

  private:
    explicit CtlConnection(int descriptor) : descriptor_(descriptor) {}

    int descriptor_;
    std::string received_;
    std::size_t searched_ = 0;  // bytes in which there is no end of a line
};

}  // namespace palier::app
