#include "health/mysql_result.h"

#include "health/mysql_packet.h"

namespace palier::health {
namespace {

constexpr std::size_t kEndSize = 5;  // mark, warnings, status
constexpr std::uint64_t kMoreResults = 0x8;

/// An EOF packet: a row may begin with the same byte, but is then longer than nine bytes.
[[nodiscard]] bool is_end(std::string_view payload) {
    return payload.starts_with('\xfe') && payload.size() == kEndSize;
}

}  // namespace

MysqlResult::Event MysqlResult::bad(std::string_view fault) {
    fault_ = fault;
    return Event::bad;
}

MysqlResult::Event MysqlResult::on_packet(std::string_view payload) {
    switch (state_) {
        case State::count:
            return read_count(payload);
        case State::definitions:
            return read_definition(payload);
        case State::definitions_end:
            if (!is_end(payload)) return bad("no end of its column definitions");
            state_ = State::rows;
            return Event::more;
        case State::rows:
            return is_end(payload) ? read_end(payload) : read_row(payload);
    }
    return bad("a malformed result");
}

MysqlResult::Event MysqlResult::read_count(std::string_view payload) {
    MysqlFields fields(payload);
    // No rows at all (OK), or a wish for a file of ours (LOCAL INFILE), are no counts.
    if (fields.length() != columns_ || !fields.ended()) return bad("not the columns that were asked for");
    state_ = State::definitions;
    return Event::more;
}

MysqlResult::Event MysqlResult::read_definition(std::string_view payload) {
    MysqlFields fields(payload);
    if (fields.text_or_null() != "def") return bad("a malformed column definition");
    if (--definitions_ == 0) state_ = State::definitions_end;
    return Event::more;
}

MysqlResult::Event MysqlResult::read_row(std::string_view payload) {
    if (value_) return bad("more rows than were asked for");
    MysqlFields fields(payload);
    std::optional<std::string_view> last;
    for (std::size_t column = 0; column < columns_; ++column)
        last = fields.text_or_null();
    if (!fields.ended()) return bad("a malformed row");
    value_ = last.value_or("");
    return Event::more;
}

MysqlResult::Event MysqlResult::read_end(std::string_view payload) {
    MysqlFields fields(payload);
    fields.skip(1 + 2);
    if ((fields.integer(2) & kMoreResults) != 0) return bad("more results than were asked for");
    return Event::end;
}

}  // namespace palier::health
