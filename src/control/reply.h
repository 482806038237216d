// ConnectionReply: the way back to one client of the control socket for one request (command.h).
//
// It writes nothing itself: lines go to the connection's queue, so that no command hears of its client's end from within
// a call that it made.
//
// Thread: control. Owner: the command that it was given to; the connection knows it until its end.
#pragma once

#include "control/output_queue.h"
#include "palier/control/command.h"

#include <nlohmann/json.hpp>

namespace palier::control {

class ControlConnection;

class ConnectionReply final : public Reply {
  public:
    explicit ConnectionReply(ControlConnection& connection) : connection_(&connection) {}
    ~ConnectionReply() override;
    ConnectionReply(const ConnectionReply&) = delete;
    ConnectionReply& operator=(const ConnectionReply&) = delete;

    using Reply::done;
    using Reply::fail;
    void event(nlohmann::json event) override;
    void done(nlohmann::json result) override;
    void fail(std::string_view error, nlohmann::json more) override;
    [[nodiscard]] bool open() const override { return connection_ != nullptr; }
    void on_gone(std::function<void()> gone) override;
    void attach(int descriptor) override;

    /// The connection's end, without a word to the command.
    void detach() { connection_ = nullptr; }
    /// The same, and the command is told.
    void client_gone();

  private:
    void send(const nlohmann::json& line);
    void end(nlohmann::json line);

    ControlConnection* connection_;  // null once ended, or without a client
    bool ended_ = false;
    bool attach_failed_ = false;
    OwnedDescriptors attached_;
    std::function<void()> gone_;
};

}  // namespace palier::control
