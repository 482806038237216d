#include "control/reply.h"

#include "control/control_connection.h"
#include "palier/base/log.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace palier::control {
namespace {

nlohmann::json object_of(nlohmann::json value) {
    if (value.is_object()) return value;
    nlohmann::json object = nlohmann::json::object();
    if (!value.is_null()) object["value"] = std::move(value);
    return object;
}

}  // namespace

void Reply::done() {
    done(nlohmann::json::object());
}

void Reply::fail(std::string_view error) {
    fail(error, nlohmann::json::object());
}

ConnectionReply::~ConnectionReply() {
    if (!ended_) fail("the command was given up");
}

void ConnectionReply::event(nlohmann::json event) {
    if (ended_) return;
    nlohmann::json line = object_of(std::move(event));
    line.erase("done");
    send(line);
}

void ConnectionReply::done(nlohmann::json result) {
    nlohmann::json line = object_of(std::move(result));
    line["ok"] = true;
    end(std::move(line));
}

void ConnectionReply::fail(std::string_view error, nlohmann::json more) {
    nlohmann::json line = object_of(std::move(more));
    line["ok"] = false;
    line["error"] = error;
    end(std::move(line));
}

void ConnectionReply::end(nlohmann::json line) {
    if (std::exchange(ended_, true)) return;
    if (attach_failed_) {
        line["ok"] = false;
        line["error"] = "not every descriptor could be handed over";
    }
    line["done"] = true;
    send(line);
    gone_ = nullptr;
    if (connection_ != nullptr) std::exchange(connection_, nullptr)->reply_ended();
}

void ConnectionReply::send(const nlohmann::json& line) {
    if (connection_ == nullptr) return;
    // What is no UTF-8 comes out as U+FFFD.
    std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    text += '\n';
    connection_->send(text, ended_, std::exchange(attached_, {}));
}

void ConnectionReply::attach(int descriptor) {
    if (attached_.add_copy(descriptor)) return;
    attach_failed_ = true;
    base::log_error("control: descriptor {} could not be handed over: {}", descriptor, std::strerror(errno));
}

void ConnectionReply::on_gone(std::function<void()> gone) {
    if (ended_) return;
    if (connection_ == nullptr) return gone();
    gone_ = std::move(gone);
}

void ConnectionReply::client_gone() {
    connection_ = nullptr;
    if (const auto gone = std::exchange(gone_, nullptr)) gone();
}

}  // namespace palier::control
