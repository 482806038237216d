// Commands: what a line on the control socket may ask for, and the reply's way back.
//
// A command's function gets the request and a Reply; it sends any number of events and ends with done() or fail(), now or
// in a later turn. It may keep the Reply for as long as it needs: once the client is gone, what is sent is dropped.
//
// Thread: control only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace palier::control {

class Events;

/// Who asks, as the kernel says (SO_PEERCRED).
struct Peer {
    std::uint32_t uid = 0;
    std::int32_t pid = 0;
};

/// A parsed line: web/front1 and wait=30s of `drain web/front1 wait=30s`.
struct Request {
    std::string command;
    std::vector<std::string> words;                           // those after the command
    std::map<std::string, std::string, std::less<>> options;  // key=value; each key once
    Peer peer;

    /// "" for one that was not given.
    [[nodiscard]] std::string_view option(std::string_view key) const {
        const auto found = options.find(key);
        return found == options.end() ? std::string_view{} : std::string_view(found->second);
    }
    [[nodiscard]] bool has(std::string_view key) const { return options.find(key) != options.end(); }
};

/// The way back to one client for one request. Ended exactly once; one that is dropped without an end fails with
/// "the command was given up".
class Reply {
  public:
    virtual ~Reply() = default;

    /// One line of JSON on the way to the end; `event` is an object without "done".
    virtual void event(nlohmann::json event) = 0;
    /// The last line: `result` (an object, perhaps empty) with "done": true and "ok": true.
    virtual void done(nlohmann::json result) = 0;
    void done();
    /// The last line: "done": true, "ok": false and "error", with what `more` (an object) has to tell beside it.
    virtual void fail(std::string_view error, nlohmann::json more) = 0;
    void fail(std::string_view error);

    /// False once the client has gone; a long command may want to end then.
    [[nodiscard]] virtual bool open() const = 0;
    /// Called once, on the control thread, if the client goes before the end; at once, if it has gone already. `gone` may
    /// not own the Reply.
    virtual void on_gone(std::function<void()> gone) = 0;
    /// Hands a descriptor over with the next line (SCM_RIGHTS); the caller keeps its own. Any number may be attached.
    virtual void attach(int descriptor) = 0;
};

/// What a command takes; whatever else a request brings is refused before the command sees it.
struct Command {
    std::string name;   // of one word
    std::string usage;  // "drain POOL/SERVER [wait=30s] [tunnels=wait|close] [reason=…] [ttl=…]"
    std::string about;  // in a few words, for `help`
    std::size_t least_words = 0;  // after the command
    std::size_t most_words = 0;
    std::vector<std::string> options;  // keys that are known; "by" always is
    // It changes something: logged with the peer, refused while an upgrade is under way.
    bool changes = false;
    std::function<void(const Request&, std::shared_ptr<Reply>)> run;
};

/// Every command, by name. Filled at start; then looked up by the socket.
class CommandTable {
  public:
    CommandTable() = default;
    CommandTable(const CommandTable&) = delete;
    CommandTable& operator=(const CommandTable&) = delete;

    /// A later one of the same name takes the former's place.
    void add(Command command);
    /// The command `help`: the name, usage and purpose of every command, or of the one that is named.
    void add_help();
    /// `events` is told of every command that changes something, when it is about to run:
    /// {"event":"command","line":"drain web/front1","uid":0,"pid":4711,"by":"anna"}
    void report_to(Events& events) { events_ = &events; }
    /// While this says something, commands that change anything fail with it: "an upgrade is under way; …".
    void refuse_changes(std::string why) { refusal_ = std::move(why); }

    /// Checks the request against the command's description (unknown commands and options with the nearest name), logs
    /// who changes something, and runs it. Never throws; every reply ends.
    void run(const Request& request, std::shared_ptr<Reply> reply) const;
    [[nodiscard]] std::span<const Command> commands() const { return commands_; }

  private:
    [[nodiscard]] const Command* find(std::string_view name) const;
    [[nodiscard]] std::string fault_of(const Request& request, const Command& command) const;
    void note_change(const Request& request) const;

    std::vector<Command> commands_;
    std::string refusal_;
    Events* events_ = nullptr;
};

}  // namespace palier::control
