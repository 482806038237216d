#include "palier/health/probe.h"

#include "palier/base/assert.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace palier::health {
namespace {

// Reads in a row: whoever sends without end takes turns with the others.
constexpr int kReadsPerTurn = 4;

/// What this machine has run out of, whichever server it wanted to ask.
bool is_local(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == ENOSPC ||
           error == EADDRNOTAVAIL;
}

std::string connect_words(int error) {
    if (error == ECONNREFUSED) return "connect refused";
    if (error == ECONNRESET) return "reset before it answered";
    return base::system_failure("connect", error).error().message;
}

std::string text_of(config::Duration duration) {
    const auto ms = duration.count();
    return ms % 1000 == 0 ? fmt::format("{}s", ms / 1000) : fmt::format("{}ms", ms);
}

/// To the others, an open connection says enough, or TLS comes later if at all.
bool begins_with_tls(config::ProbeType type) {
    return type == config::ProbeType::http || type == config::ProbeType::tls;
}

}  // namespace

Probe::Probe(const ProbeEnvironment& environment, ProbeUser& user)
    : environment_(environment), user_(user), deadline_(base::Timer::calling<&Probe::on_deadline>(this)) {}

Probe::~Probe() = default;

void Probe::start(const ProbeTarget& target, const config::HealthConfig& config) {
    PALIER_ASSERT(!running());
    target_ = &target;
    config_ = &config;
    answered_ = false;
    net::Loop& loop = environment_.loop;
    loop.timers().arm(deadline_, loop.now_ms() + static_cast<std::uint64_t>(config.timeout.count()));
    kept_ = transport_.open() && transport_.quiet();
    if (kept_) {
        begin_dialogue();
    } else {
        transport_.close();
        connect();
    }
}

void Probe::cancel() {
    transport_.close_with_reset();
    end();
}

void Probe::on_events(std::uint32_t ready) {
    // What the loop has gathered for this turn is about a socket before the one that was made in it.
    if (!transport_.open() || environment_.loop.turn() == connected_in_) return;
    transport_.note(ready);
    switch (stage_) {
        case Stage::idle:
            // A kept connection whose server closes it, or speaks when it is not asked.
            if (transport_.readable() && (!transport_.encrypted() || !transport_.quiet())) transport_.close();
            return;
        case Stage::connecting:
            go_on_connecting(ready);
            return;
        case Stage::shaking_hands:
            go_on_shaking_hands();
            return;
        case Stage::talking:
            go_on_talking();
            return;
    }
}

void Probe::on_again() {
    if (stage_ == Stage::talking) go_on_talking();
}

void Probe::on_deadline() {
    fail(late_words());
}

void Probe::connect() {
    stage_ = Stage::connecting;
    connected_in_ = environment_.loop.turn();
    const auto begun = transport_.socket().connect(environment_.loop, target_->address, *this);
    if (begun) return;
    if (is_local(begun.error().code)) {
        give_up(begun.error().message);
    } else {
        fail(connect_words(begun.error().code));
    }
}

void Probe::go_on_connecting(std::uint32_t ready) {
    if ((ready & net::kError) != 0) {
        if (const int error = transport_.socket().connect_error(); error != 0) {
            fail(connect_words(error));
            return;
        }
    }
    if ((ready & net::kWritable) == 0) return;
    if (!target_->tls || !begins_with_tls(config_->type)) {
        open();
    } else if (transport_.start_client(*target_->tls, environment_.tls)) {
        stage_ = Stage::shaking_hands;
        go_on_shaking_hands();
    } else {
        give_up("no memory for TLS");
    }
}

void Probe::go_on_shaking_hands() {
    // A connection that takes no more bytes shows in what the handshake reads.
    if (transport_.sealed()) static_cast<void>(transport_.flush());
    switch (transport_.handshake()) {
        case tls::Handshake::again:
            return;
        case tls::Handshake::done:
            open();
            return;
        case tls::Handshake::plain_http:
        case tls::Handshake::failed:
            fail("TLS handshake: " + transport_.why());
            return;
    }
}

void Probe::open() {
    if (config_->type == config::ProbeType::tcp || config_->type == config::ProbeType::tls) {
        transport_.close();
        end();
        user_.on_result({.well = true, .reason = {}});
    } else {
        begin_dialogue();
    }
}

void Probe::begin_dialogue() {
    stage_ = Stage::talking;
    dialogue_ = config_->type == config::ProbeType::mysql ? make_mysql_dialogue(*config_)
                                                          : make_http_dialogue(*config_, target_->host);
    out_ = dialogue_->take_output();
    go_on_talking();
}

void Probe::go_on_talking() {
    send();
    read();
}

void Probe::send() {
    net::IoStatus status = transport_.sealed() ? transport_.flush().status : net::IoStatus::ok;
    if (status == net::IoStatus::ok && !out_.empty()) {
        const net::IoResult sent = transport_.write(out_);
        status = sent.status;
        out_.erase(0, sent.size);
    }
    if (status != net::IoStatus::failed) return;
    // The server may have answered before it closed: reading tells.
    out_.clear();
    transport_.note(net::kReadable);
}

void Probe::read() {
    for (int reads = 0; transport_.readable(); ++reads) {
        if (reads == kReadsPerTurn) {
            environment_.loop.again(*this);
            return;
        }
        const auto scratch = environment_.scratch;
        const net::IoResult got = transport_.read(scratch.data(), scratch.size());
        if (got.status == net::IoStatus::would_block) return;
        if (got.status != net::IoStatus::ok) {
            on_end(got);
            return;
        }
        answered_ = true;
        if (take({scratch.data(), got.size}) == Dialogue::Step::done) return;
    }
}

Dialogue::Step Probe::take(std::string_view bytes) {
    const Dialogue::Step step = dialogue_->on_bytes(bytes);
    const std::string output = dialogue_->take_output();
    out_ += output;
    send();
    if (step == Dialogue::Step::done) conclude(!output.empty());
    return step;
}

void Probe::on_end(const net::IoResult& end) {
    if (kept_ && !answered_) {
        try_afresh();
    } else if (end.status == net::IoStatus::failed) {
        fail(broken_words(end));
    } else if (dialogue_->on_close() == Dialogue::Step::done) {
        conclude(false);
    } else {
        fail("closed before it answered");
    }
}

/// The server has closed a kept connection, perhaps before it saw the question: that says nothing of its health.
void Probe::try_afresh() {
    transport_.close();
    kept_ = false;
    dialogue_.reset();
    out_.clear();
    connect();
}

/// The dialogue is done. `said_goodbye`: its last words are on their way, and a reset could overtake them.
void Probe::conclude(bool said_goodbye) {
    const std::unique_ptr<Dialogue> dialogue = std::move(dialogue_);
    const Result& result = dialogue->result();
    const bool drained = out_.empty() && !transport_.sealed();
    if (result.well && config_->keep_alive && dialogue->reusable() && drained && !transport_.readable()) {
        end();
    } else {
        if (result.well || said_goodbye) {
            transport_.close();
        } else {
            transport_.close_with_reset();
        }
        end();
    }
    user_.on_result(result);
}

void Probe::fail(std::string reason) {
    const bool unreachable = stage_ == Stage::connecting;
    transport_.close_with_reset();
    end();
    user_.on_result({.well = false, .unreachable = unreachable, .reason = std::move(reason)});
}

void Probe::give_up(std::string_view why) {
    transport_.close_with_reset();
    end();
    user_.on_local_failure(why);
}

/// Whatever the run needed is let go, but for a kept connection.
void Probe::end() {
    stage_ = Stage::idle;
    base::TimerWheel::disarm(deadline_);
    net::Task::unlink();
    dialogue_.reset();
    out_.clear();
    target_ = nullptr;
    config_ = nullptr;
}

std::string Probe::late_words() const {
    const std::string timeout = text_of(config_->timeout);
    switch (stage_) {
        case Stage::idle:
        case Stage::connecting:
            return "connect timed out after " + timeout;
        case Stage::shaking_hands:
            return "TLS handshake timed out after " + timeout;
        case Stage::talking:
            break;
    }
    if (!answered_) return "accepted and said nothing for " + timeout;
    return fmt::format("half an answer after {} ({})", timeout, dialogue_->stage());
}

/// `end` is a failure of the connection.
std::string Probe::broken_words(const net::IoResult& end) const {
    std::string what = "reset";
    if (end.error != ECONNRESET && end.error != EPIPE) {
        // With TLS this may be an alert, or a bare end, which anybody could have sent (RFC 8446 section 6.1).
        what = end.error == 0 ? "TLS broken off" : base::system_failure("read", end.error).error().message;
    }
    if (!answered_) return what + " before it answered";
    return fmt::format("{} after half an answer ({})", what, dialogue_->stage());
}

}  // namespace palier::health
