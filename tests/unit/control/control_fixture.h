// What the tests of the control socket stand on: one that listens in a folder of its own, with commands to play with, and
// clients on the test's own thread.
#pragma once

#include "catch.h"
#include "config/load_fixture.h"
#include "net/loop_fixture.h"
#include "palier/base/log.h"
#include "palier/control/control_socket.h"
#include "palier/control/events.h"
#include "palier/net/descriptors.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace palier::test {

/// Only errors are logged, as long as it lives.
class QuietLog {
  public:
    QuietLog() : before_(base::detail::log_threshold) { base::log_start(base::LogLevel::error); }
    QuietLog(const QuietLog&) = delete;
    QuietLog& operator=(const QuietLog&) = delete;
    ~QuietLog() { base::log_start(before_); }

  private:
    base::LogLevel before_;
};

/// A client: the kernel connects it before the socket accepts.
class ControlClient {
  public:
    explicit ControlClient(const std::string& path) {
        const auto connected = net::connect_local(path);
        REQUIRE(connected);
        descriptor_ = Descriptor(*connected);
    }

    void send(std::string_view bytes) const {
        REQUIRE(::send(descriptor_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    /// As much as goes at once.
    std::size_t send_some(std::string_view bytes) const {
        const ssize_t sent =
            ::send(descriptor_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent > 0 ? static_cast<std::size_t>(sent) : 0;
    }
    void half_close() const { ::shutdown(descriptor_.get(), SHUT_WR); }
    void close() { descriptor_.close(); }
    [[nodiscard]] int descriptor() const { return descriptor_.get(); }

    /// Takes what has come; false once the other side has ended.
    bool receive() {
        while (!ended) {
            std::vector<char> room(65536);
            std::vector<int> got;
            const int flags = ::fcntl(descriptor_.get(), F_GETFL);
            ::fcntl(descriptor_.get(), F_SETFL, flags | O_NONBLOCK);
            const net::IoResult result = net::receive_with_descriptors(descriptor_.get(), room, got);
            ::fcntl(descriptor_.get(), F_SETFL, flags);
            for (const int descriptor : got)
                descriptors.emplace_back(descriptor);
            if (result.status == net::IoStatus::would_block) return true;
            ended = result.status != net::IoStatus::ok;
            received.append(room.data(), result.size);
        }
        return false;
    }
    /// The whole lines so far.
    [[nodiscard]] std::vector<nlohmann::json> lines() const {
        std::vector<nlohmann::json> found;
        std::size_t begin = 0;
        for (std::size_t end = received.find('\n'); end != std::string::npos;
             end = received.find('\n', begin)) {
            found.push_back(nlohmann::json::parse(received.substr(begin, end - begin)));
            begin = end + 1;
        }
        return found;
    }

    std::string received;
    std::vector<Descriptor> descriptors;
    bool ended = false;

  private:
    Descriptor descriptor_;
};

struct ControlFixture {
    explicit ControlFixture(const control::ControlLimits& limits = {}) : socket(loop, commands, limits) {
        const auto add = [this](std::string name, auto run) {
            commands.add({.name = std::move(name),
                          .usage = "a test's",
                          .about = "",
                          .most_words = 100,
                          .options = {"size", "count"},
                          .run = run});
        };
        add("echo", [](const control::Request& request, const std::shared_ptr<control::Reply>& reply) {
            reply->done({{"words", request.words}, {"uid", request.peer.uid}, {"pid", request.peer.pid}});
        });
        add("keep", [this](const control::Request&, std::shared_ptr<control::Reply> reply) {
            reply->event({{"event", "kept"}});
            reply->on_gone([this] { ++gone; });
            kept.push_back(std::move(reply));
        });
        add("flood", [](const control::Request& request, const std::shared_ptr<control::Reply>& reply) {
            const std::string text(std::stoul(std::string(request.option("size"))), 'x');
            const int count = std::stoi(std::string(request.option("count")));
            for (int i = 0; i < count && reply->open(); ++i)
                reply->event({{"text", text}});
            reply->done();
        });
        REQUIRE(socket.listen(path()));
    }

    [[nodiscard]] std::string path() const { return folder.path("control.sock"); }
    [[nodiscard]] ControlClient client() const { return ControlClient(path()); }

    template <typename Condition>
    [[nodiscard]] bool until(Condition done) {
        return run_until(loop, done);
    }
    [[nodiscard]] bool until_lines(ControlClient& client, std::size_t count) {
        return until([&] {
            client.receive();
            return std::ranges::count(client.received, '\n') >= static_cast<std::ptrdiff_t>(count);
        });
    }
    [[nodiscard]] bool until_ended(ControlClient& client) {
        return until([&] { return !client.receive(); });
    }
    /// Every line that is answered to `bytes`, which close their side.
    [[nodiscard]] std::vector<nlohmann::json> answers_to(std::string_view bytes) {
        ControlClient client = this->client();
        client.send(bytes);
        client.half_close();
        REQUIRE(until_ended(client));
        return client.lines();
    }

    QuietLog quiet;
    config::Folder folder;
    net::Loop loop;
    control::CommandTable commands;
    std::vector<std::shared_ptr<control::Reply>> kept;
    int gone = 0;
    control::ControlSocket socket;
};

}  // namespace palier::test
