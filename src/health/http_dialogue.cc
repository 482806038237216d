#include "health/text_search.h"
#include "palier/base/assert.h"
#include "palier/base/utf8.h"
#include "palier/health/dialogue.h"
#include "palier/http/body.h"
#include "palier/http/h1_parser.h"
#include "palier/http/message.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace palier::health {
namespace {

constexpr http::HeadLimits kHeadLimits{.size = 32 * 1024, .fields = 128};
constexpr std::size_t kMaxBody = 64 * 1024;  // bytes of body that are looked at
constexpr std::size_t kMaxTrailers = 8 * 1024;
constexpr unsigned kMaxInterim = 8;           // 1xx responses before the final one
constexpr std::size_t kMaxQuoted = 60;        // bytes of expect_body in a reason
constexpr std::size_t kVersionAndStatus = 8;  // bytes after which a refusal needs a whole line

[[nodiscard]] bool names(const config::HealthConfig& config, http::Name name) {
    return std::any_of(config.headers.begin(), config.headers.end(),
                       [name](const config::ProbeField& field) { return http::name_of(field.name) == name; });
}

[[nodiscard]] std::string request_text(const config::HealthConfig& config, http::Method method,
                                       std::string_view host) {
    std::string text;
    auto out = std::back_inserter(text);
    fmt::format_to(out, "{} {} HTTP/1.1\r\nHost: {}\r\n", config.method, config.path,
                   config.host.empty() ? host : config.host);
    if (!names(config, http::Name::user_agent)) text.append("User-Agent: palier\r\n");
    for (const config::ProbeField& field : config.headers)
        fmt::format_to(out, "{}: {}\r\n", field.name, field.value);
    // RFC 9110 section 8.6: methods of which a body is expected say that there is none.
    const bool body_expected =
        method == http::Method::post || method == http::Method::put || method == http::Method::patch;
    if (body_expected && !names(config, http::Name::content_length)) text.append("Content-Length: 0\r\n");
    if (!config.keep_alive) text.append("Connection: close\r\n");
    return text.append("\r\n");
}

[[nodiscard]] bool expected(const config::HealthConfig& config, std::uint16_t status) {
    return std::any_of(config.expect.begin(), config.expect.end(), [status](config::StatusRange range) {
        return range.first <= status && status <= range.last;
    });
}

/// "HTTP 503, expected 200-299, 304".
[[nodiscard]] std::string status_reason(const config::HealthConfig& config, std::uint16_t status) {
    std::string text = fmt::format("HTTP {}, expected ", status);
    for (const config::StatusRange& range : config.expect) {
        if (&range != &config.expect.front()) text.append(", ");
        text.append(fmt::to_string(range.first));
        if (range.last != range.first) text.append(fmt::format("-{}", range.last));
    }
    return text;
}

class HttpDialogue final : public Dialogue {
  public:
    HttpDialogue(const config::HealthConfig& config, std::string_view host)
        : config_(config),
          method_(http::method_of(config.method)),
          output_(request_text(config, method_, host)),
          parser_(kHeadLimits),
          search_(config.expect_body) {}

    [[nodiscard]] std::string take_output() override { return std::exchange(output_, {}); }
    [[nodiscard]] Step on_bytes(std::string_view bytes) override;
    [[nodiscard]] Step on_close() override;
    [[nodiscard]] std::string_view stage() const override;
    [[nodiscard]] const Result& result() const override { return result_; }
    [[nodiscard]] bool reusable() const override { return reusable_; }

  private:
    enum class State : std::uint8_t { head, body, done };

    [[nodiscard]] Step take_head(std::string_view bytes);
    [[nodiscard]] Step end_head(std::string_view rest);
    [[nodiscard]] Step take_body(std::string_view bytes);
    [[nodiscard]] Step look_at_body(std::string_view data);
    [[nodiscard]] Step end_body(bool reusable);
    [[nodiscard]] Step succeed(bool reusable);
    [[nodiscard]] Step fail(std::string reason);
    [[nodiscard]] bool in_status_line() const { return head_.find('\n') == std::string::npos; }

    const config::HealthConfig& config_;
    const http::Method method_;
    State state_ = State::head;
    unsigned interim_ = 0;
    std::string output_;

    std::string head_;  // as far as it came
    std::size_t seen_ = 0;
    http::ResponseParser parser_;
    http::BodyReader body_;
    bool persists_ = false;      // what the head says of the connection
    std::size_t looked_at_ = 0;  // bytes of body
    TextSearch search_;

    Result result_;
    bool reusable_ = false;
};

Dialogue::Step HttpDialogue::succeed(bool reusable) {
    result_.well = true;
    reusable_ = reusable;
    state_ = State::done;
    return Step::done;
}

Dialogue::Step HttpDialogue::fail(std::string reason) {
    result_ = {.well = false, .reason = std::move(reason)};
    state_ = State::done;
    return Step::done;
}

Dialogue::Step HttpDialogue::on_bytes(std::string_view bytes) {
    switch (state_) {
        case State::head:
            return take_head(bytes);
        case State::body:
            return take_body(bytes);
        case State::done:
            break;
    }
    return Step::done;
}

Dialogue::Step HttpDialogue::take_head(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::string_view taken = bytes.substr(0, kHeadLimits.size - head_.size());
        head_.append(taken);
        // Only a new line or a full head can end the waiting: a head that dribbles is not parsed at each byte.
        const bool worth_parsing = taken.find('\n') != std::string_view::npos ||
                                   head_.size() == kHeadLimits.size || seen_ < kVersionAndStatus;
        const http::HeadResult parsed =
            worth_parsing ? parser_.parse(head_, seen_, method_, false) : http::HeadResult{};
        seen_ = head_.size();
        if (parsed.state == http::HeadState::refused) {
            return fail(fmt::format("bad response: {}", http::text_of(parsed.refusal)));
        }
        if (parsed.state == http::HeadState::incomplete) {
            bytes.remove_prefix(taken.size());
            continue;
        }
        const std::size_t surplus = head_.size() - parsed.consumed;
        PALIER_ASSERT(surplus < taken.size());
        bytes.remove_prefix(taken.size() - surplus);
        head_.clear();
        seen_ = 0;
        if (parser_.head().status >= 200) return end_head(bytes);
        if (++interim_ > kMaxInterim) return fail("too many interim responses (1xx)");
    }
    return Step::more;
}

/// A final head is there; `rest` follows it.
Dialogue::Step HttpDialogue::end_head(std::string_view rest) {
    const http::ResponseHead& head = parser_.head();
    if (!expected(config_, head.status)) return fail(status_reason(config_, head.status));
    persists_ = head.keep_alive;
    body_.start(head.body, kMaxTrailers);
    state_ = State::body;
    return take_body(rest);
}

Dialogue::Step HttpDialogue::take_body(std::string_view bytes) {
    using Event = http::BodyReader::Event;
    while (true) {
        const http::BodyReader::Step step = body_.next(bytes);
        bytes.remove_prefix(step.consumed);
        switch (step.event) {
            case Event::need_more:
                return Step::more;
            case Event::data:
                if (look_at_body(step.data) == Step::done) return Step::done;
                break;
            case Event::end:
                // What nobody asked for may follow: such a connection carries no other probe.
                return end_body(config_.keep_alive && persists_ && bytes.empty());
            case Event::error:
                return fail("bad response: broken framing of its body");
        }
    }
}

Dialogue::Step HttpDialogue::look_at_body(std::string_view data) {
    const std::string_view looked_at = data.substr(0, kMaxBody - looked_at_);
    search_.look_at(looked_at);
    looked_at_ += looked_at.size();
    // Its end is waited for also where its text is not: a page that never comes to its end is ill, and a server
    // whose answer is cut off complains. But not at any price.
    const bool enough = looked_at.size() < data.size();
    if (search_.found()) return enough ? succeed(false) : Step::more;
    if (looked_at_ < kMaxBody) return Step::more;
    return fail(fmt::format("the body does not hold \"{}\" in its first 64 KiB",
                            base::printable(config_.expect_body, kMaxQuoted)));
}

Dialogue::Step HttpDialogue::end_body(bool reusable) {
    if (search_.found()) return succeed(reusable);
    return fail(
        fmt::format("the body does not hold \"{}\"", base::printable(config_.expect_body, kMaxQuoted)));
}

Dialogue::Step HttpDialogue::on_close() {
    switch (state_) {
        case State::head:
            if (!head_.empty()) {
                return fail(in_status_line() ? "closed within its status line" : "closed within its head");
            }
            return fail(interim_ > 0 ? "closed after an interim response (1xx)"
                                     : "closed before it answered");
        case State::body:
            return body_.finish() ? end_body(false) : fail("closed within its body");
        case State::done:
            break;
    }
    return Step::done;
}

std::string_view HttpDialogue::stage() const {
    if (state_ != State::head) return "an unfinished body";
    if (!head_.empty()) return in_status_line() ? "half a status line" : "an unfinished head";
    return interim_ > 0 ? "nothing after an interim response (1xx)" : "no answer";
}

}  // namespace

std::unique_ptr<Dialogue> make_http_dialogue(const config::HealthConfig& config, std::string_view host) {
    return std::make_unique<HttpDialogue>(config, host);
}

}  // namespace palier::health
