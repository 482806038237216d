// The dialogue with a MySQL or MariaDB server:
//
//   greeting -> login -> [wsrep_local_state -> [read_only ->]] done
//
// Who reads the greeting and goes away, or says COM_QUIT before a login, has not shaken hands: the server counts
// an error of its host, and refuses that host after max_connect_errors of them (error 1129; MariaDB 10.11:
// Aborted_connects_preauth, SUM_CONNECT_ERRORS in performance_schema.host_cache, and a warning in the log). What
// does not count is any login of proper form. So a probe without a user logs in as one that nobody has and is
// told so (error 1045), which shows besides that the server does more than greet. That is the least noise to
// be had without an account: Aborted_connects grows, the host's errors stay at 0, and at log_warnings = 2 the
// log has "Access denied" where it would otherwise have "Aborted connection". With a user that may log in,
// COM_QUIT at the end leaves nothing in any counter or log.
//
// For the same reason no login is left halfway: whatever the server asks for is answered, with an empty
// password.
#include "health/mysql_handshake.h"
#include "health/mysql_packet.h"
#include "health/mysql_result.h"
#include "palier/base/utf8.h"
#include "palier/health/dialogue.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace palier::health {
namespace {

// A name of a real account could lock it: some servers count its failed logins.
constexpr std::string_view kNobody = "palier-probe";
constexpr unsigned kMaxLoginRounds = 4;  // what a server may say between our login and its verdict
constexpr std::string_view kQuit = "\x01";
constexpr std::size_t kMaxQuoted = 40;

// The first byte of an answer to a login.
constexpr char kOk = '\x00';
constexpr char kMoreData = '\x01';
constexpr char kAuthSwitch = '\xfe';
// What follows kMoreData in caching_sha2_password.
constexpr char kFastAuthOk = '\x03';
constexpr char kFullAuth = '\x04';

/// A server that refuses just this login is alive: access denied, no such plugin, TLS required.
[[nodiscard]] bool is_about_login(const MysqlError& error) {
    constexpr std::array<std::uint16_t, 4> kNumbers{1045, 1251, 1698, 3159};
    const bool known = std::find(kNumbers.begin(), kNumbers.end(), error.number) != kNumbers.end();
    return known || error.state == "28000";  // invalid authorization specification
}

/// Galera's states; "" for what is none.
[[nodiscard]] std::string_view wsrep_name(std::string_view state) {
    constexpr std::array<std::string_view, 6> kNames{"Undefined", "Joining", "Donor",
                                                     "Joined",    "Synced",  "Error"};
    if (state.size() != 1 || state[0] < '0') return {};
    const auto index = static_cast<std::size_t>(state[0] - '0');
    return index < kNames.size() ? kNames[index] : std::string_view();
}

class MysqlDialogue final : public Dialogue {
  public:
    explicit MysqlDialogue(const config::HealthConfig& config) : config_(config) {}

    [[nodiscard]] std::string take_output() override { return std::exchange(output_, {}); }
    [[nodiscard]] Step on_bytes(std::string_view bytes) override;
    [[nodiscard]] Step on_close() override;
    [[nodiscard]] std::string_view stage() const override;
    [[nodiscard]] const Result& result() const override { return result_; }
    [[nodiscard]] bool reusable() const override { return false; }

  private:
    enum class State : std::uint8_t { greeting, login, wsrep, read_only, done };

    [[nodiscard]] bool anonymous() const { return config_.user.empty(); }

    // Each sets the state that follows.
    void on_packet(std::string_view payload);
    void on_error(const MysqlError& error);
    void on_greeting(std::string_view payload);
    void on_login(std::string_view payload);
    void on_auth_switch(std::string_view payload);
    void on_more_data(std::string_view data);
    void on_answer(std::string_view payload);
    void judge_wsrep(const std::optional<std::string>& state);
    void judge_read_only(const std::optional<std::string>& value);

    void ask(State state, std::string_view question, std::size_t columns);
    void send(std::uint8_t sequence, std::string_view payload);
    /// The verdict, and a farewell where the server waits for our next word.
    void succeed();
    void fail(std::string reason);

    const config::HealthConfig& config_;
    State state_ = State::greeting;
    bool logged_in_ = false;
    unsigned login_rounds_ = 0;
    std::uint8_t expected_ = 0;  // sequence number
    MysqlPacketReader reader_;
    MysqlResult answer_{0};
    std::string output_;
    Result result_;
};

void MysqlDialogue::send(std::uint8_t sequence, std::string_view payload) {
    output_.append(mysql_packet(sequence, payload));
    expected_ = static_cast<std::uint8_t>(sequence + 1);
}

void MysqlDialogue::succeed() {
    if (logged_in_) send(0, kQuit);
    result_.well = true;
    state_ = State::done;
}

void MysqlDialogue::fail(std::string reason) {
    if (logged_in_) send(0, kQuit);
    result_ = {.well = false, .reason = std::move(reason)};
    state_ = State::done;
}

Dialogue::Step MysqlDialogue::on_bytes(std::string_view bytes) {
    using Event = MysqlPacketReader::Event;
    while (state_ != State::done) {
        switch (reader_.take(bytes)) {
            case Event::need_more:
                return Step::more;
            case Event::packet:
                on_packet(reader_.payload());
                break;
            case Event::too_long:
                fail(state_ == State::greeting ? "no MySQL greeting" : "a packet of more than 64 KiB");
                break;
        }
    }
    return Step::done;
}

void MysqlDialogue::on_packet(std::string_view payload) {
    // An error says more than its number in the sequence, in which servers are careless before the greeting.
    if (const auto error = read_mysql_error(payload)) return on_error(*error);
    if (reader_.sequence() != expected_) return fail("packets out of order");
    ++expected_;
    switch (state_) {
        case State::greeting:
            return on_greeting(payload);
        case State::login:
            return on_login(payload);
        case State::wsrep:
        case State::read_only:
            return on_answer(payload);
        case State::done:
            return;
    }
}

void MysqlDialogue::on_error(const MysqlError& error) {
    if (state_ == State::login && anonymous() && is_about_login(error)) return succeed();
    fail(text_of(error));
}

void MysqlDialogue::on_greeting(std::string_view payload) {
    const auto greeting = read_mysql_greeting(payload);
    if (!greeting) return fail(greeting.error());
    send(expected_, mysql_login(*greeting, anonymous() ? kNobody : std::string_view(config_.user)));
    state_ = State::login;
}

void MysqlDialogue::on_login(std::string_view payload) {
    constexpr std::size_t kSmallestOk = 7;  // mark, two counts, status, warnings
    const char mark = payload.empty() ? '\xff' : payload[0];
    if ((mark == kAuthSwitch || mark == kMoreData) && ++login_rounds_ > kMaxLoginRounds) {
        return fail("a login without end");
    }
    if (mark == kAuthSwitch) return on_auth_switch(payload.substr(1));
    if (mark == kMoreData) return on_more_data(payload.substr(1));
    if (mark != kOk || payload.size() < kSmallestOk) return fail("a malformed answer to the login");
    logged_in_ = true;
    if (anonymous()) return succeed();
    // Without Galera there is no such variable. '_' stands for any character, and matches no other name.
    ask(State::wsrep, "SHOW GLOBAL STATUS LIKE 'wsrep_local_state'", 2);
}

void MysqlDialogue::on_auth_switch(std::string_view payload) {
    // Alone it is a wish for the hash of servers before 4.1, of which an empty password has none.
    const std::string_view plugin = payload.substr(0, payload.find('\0'));
    send(expected_, empty_mysql_password(plugin));
}

void MysqlDialogue::on_more_data(std::string_view data) {
    if (data == std::string_view(&kFastAuthOk, 1)) return;  // an OK follows
    if (data == std::string_view(&kFullAuth, 1)) return fail("the server wants a password");
    send(expected_, {});
}

void MysqlDialogue::ask(State state, std::string_view question, std::size_t columns) {
    send(0, fmt::format("\x03{}", question));  // COM_QUERY
    answer_ = MysqlResult(columns);
    state_ = state;
}

void MysqlDialogue::on_answer(std::string_view payload) {
    switch (answer_.on_packet(payload)) {
        case MysqlResult::Event::more:
            return;
        case MysqlResult::Event::bad:
            return fail(fmt::format("a bad answer to a query: {}", answer_.fault()));
        case MysqlResult::Event::end:
            break;
    }
    if (state_ == State::wsrep) return judge_wsrep(answer_.value());
    judge_read_only(answer_.value());
}

void MysqlDialogue::judge_wsrep(const std::optional<std::string>& state) {
    if (state && !state->empty() && *state != "4") {
        std::string found = base::printable(*state, kMaxQuoted);
        if (const auto name = wsrep_name(*state); !name.empty()) found += fmt::format(" ({})", name);
        return fail(fmt::format("wsrep_local_state is {}, expected 4 (Synced)", found));
    }
    if (config_.read_only == config::ReadOnly::any) return succeed();
    ask(State::read_only, "SELECT @@global.read_only", 1);
}

void MysqlDialogue::judge_read_only(const std::optional<std::string>& value) {
    // A number, and from MariaDB 12 on a word: OFF, ON, NO_LOCK, NO_LOCK_NO_ADMIN.
    if (!value || value->empty()) return fail("no value of read_only");
    const bool off = *value == "0" || *value == "OFF";
    const bool on = *value == "1" || *value == "ON" || value->starts_with("NO_LOCK");
    const bool wanted = config_.read_only == config::ReadOnly::on ? on : off;
    if (wanted) return succeed();
    const std::string found = on ? "on" : off ? "off" : base::printable(*value, kMaxQuoted);
    fail(fmt::format("read_only is {}, expected {}", found,
                     config_.read_only == config::ReadOnly::on ? "on" : "off"));
}

Dialogue::Step MysqlDialogue::on_close() {
    switch (state_) {
        case State::greeting:
            fail(reader_.within_packet() ? "closed within its greeting" : "closed before it answered");
            break;
        case State::login:
            fail("closed within the login");
            break;
        case State::wsrep:
        case State::read_only:
            logged_in_ = false;  // nobody is there to bid farewell
            fail("closed before it answered a query");
            break;
        case State::done:
            break;
    }
    return Step::done;
}

std::string_view MysqlDialogue::stage() const {
    switch (state_) {
        case State::greeting:
            return reader_.within_packet() ? "half a greeting" : "no answer";
        case State::login:
            return "an unfinished login";
        case State::wsrep:
            return "no answer about wsrep_local_state";
        case State::read_only:
            return "no answer about read_only";
        case State::done:
            break;
    }
    return "done";
}

}  // namespace

std::unique_ptr<Dialogue> make_mysql_dialogue(const config::HealthConfig& config) {
    return std::make_unique<MysqlDialogue>(config);
}

}  // namespace palier::health
