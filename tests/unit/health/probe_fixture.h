// What the tests of probes stand on: servers in the probe's own loop that do as a test tells them, and the count of
// this process's descriptors.
#pragma once

#include "../net/loop_fixture.h"
#include "palier/net/listener.h"
#include "palier/net/socket.h"
#include "palier/tls/transport.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace palier::test {

[[nodiscard]] inline std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// One accepted connection.
class Peer final : private net::Watcher {
  public:
    using Script = std::function<void(Peer&)>;

    explicit Peer(const Script& on_bytes) : on_bytes_(on_bytes) {}

    [[nodiscard]] bool adopt(net::Loop& loop, int descriptor) {
        return socket.adopt(loop, descriptor, *this);
    }
    void say(std::string_view bytes) { static_cast<void>(socket.write(bytes)); }

    net::Socket socket;
    std::string heard;
    bool reset = false;   // by the other side
    bool closed = false;  // or in good order

  private:
    void on_events(std::uint32_t ready) override {
        socket.note(ready);
        std::array<char, 65536> data;
        while (socket.open() && socket.readable()) {
            const net::IoResult got = socket.read(data.data(), data.size());
            if (got.status == net::IoStatus::would_block) return;
            if (got.status != net::IoStatus::ok) {
                reset = got.status == net::IoStatus::failed;
                closed = !reset;
                socket.close();
                return;
            }
            heard.append(data.data(), got.size);
            on_bytes_(*this);
        }
    }

    const Script& on_bytes_;
};

/// Calls `on_open` for each connection and `on_bytes` for whatever comes.
class ScriptedServer final : public net::Listener::Acceptor {
  public:
    static void nothing(Peer&) {}

    explicit ScriptedServer(net::Loop& loop, Peer::Script on_bytes = &nothing,
                            Peer::Script on_open = &nothing)
        : loop_(loop), on_bytes_(std::move(on_bytes)), on_open_(std::move(on_open)) {
        const int descriptor = *net::listen_on({*base::IpAddress::parse("127.0.0.1"), 0}, false);
        address = net::bound_address(descriptor);
        listener_ = std::make_unique<net::Listener>(loop_, descriptor, *this);
        listener_->resume();
    }

    /// The one that was accepted last.
    [[nodiscard]] Peer& last() { return *peers.back(); }
    [[nodiscard]] std::size_t accepted() const { return accepted_; }
    void refuse() { listener_->close(); }
    /// Forgets those that have ended.
    void sweep() {
        std::erase_if(peers, [](const auto& peer) { return !peer->socket.open(); });
    }

    base::SocketAddress address;
    std::vector<std::unique_ptr<Peer>> peers;

  private:
    void on_accept(int descriptor, const base::SocketAddress&) override {
        ++accepted_;
        auto peer = std::make_unique<Peer>(on_bytes_);
        if (!peer->adopt(loop_, descriptor)) return;
        peers.push_back(std::move(peer));
        on_open_(*peers.back());
    }
    void on_accept_exhausted(int) override {}

    net::Loop& loop_;
    Peer::Script on_bytes_;
    Peer::Script on_open_;
    std::unique_ptr<net::Listener> listener_;
    std::size_t accepted_ = 0;
};

/// Answers every whole request.
[[nodiscard]] inline Peer::Script answering(std::string answer, bool closing = false) {
    return [answer = std::move(answer), closing](Peer& peer) {
        if (!peer.heard.ends_with("\r\n\r\n")) return;
        peer.heard.clear();
        peer.say(answer);
        if (closing) peer.socket.close();
    };
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The loop, and what probes share on it.
struct ProbeGround {
    net::Loop loop;
    base::BufferCache buffers;
    tls::Workspace tls{buffers};
    std::array<char, 16 * 1024> scratch{};
};

}  // namespace palier::test
