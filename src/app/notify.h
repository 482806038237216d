// Notifier: tells the service manager how far palier is, as sd_notify(3) describes: one datagram to the socket that
// $NOTIFY_SOCKET names, a path or "@" and an abstract name. Without that variable nobody wants to know.
// Thread: control only. Owner: the supervisor.
#pragma once

#include <string>
#include <string_view>

namespace palier::app {

class Notifier {
  public:
    /// `socket`: $NOTIFY_SOCKET; null or "" for none. One that is no address is a warning, and nothing is sent.
    explicit Notifier(const char* socket);

    /// READY=1 and STOPPING=1, each with a line of STATUS= for people. What cannot be sent is a warning.
    void ready(std::string_view status) const { send("READY=1", status); }
    void stopping(std::string_view status) const { send("STOPPING=1", status); }
    /// MAINPID=: this process is the service's from now on, whoever was it before. Only the main one itself may say so.
    void main_pid(int pid) const;

  private:
    void send(std::string_view state, std::string_view status) const;
    void send_lines(std::string_view lines, std::string_view what) const;

    std::string socket_;  // as in the variable; "" for none
};

}  // namespace palier::app
