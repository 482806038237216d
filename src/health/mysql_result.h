// A text result set of at most one row, read strictly packet by packet: what a probe's questions get.
//
// Thread: control only. Owner: a dialogue, one for each question.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace palier::health {

class MysqlResult {
  public:
    enum class Event : std::uint8_t {
        more,
        end,  // value() is the answer
        bad,  // fault() says what is wrong
    };

    /// `columns`: how many the question's answer has.
    explicit MysqlResult(std::size_t columns) : columns_(columns), definitions_(columns) {}

    /// The next packet, which is no error packet.
    [[nodiscard]] Event on_packet(std::string_view payload);

    /// After `end`: the last column of the row; "" for NULL, none without a row.
    [[nodiscard]] const std::optional<std::string>& value() const { return value_; }
    [[nodiscard]] std::string_view fault() const { return fault_; }

  private:
    enum class State : std::uint8_t { count, definitions, definitions_end, rows };

    [[nodiscard]] Event bad(std::string_view fault);
    [[nodiscard]] Event read_count(std::string_view payload);
    [[nodiscard]] Event read_definition(std::string_view payload);
    [[nodiscard]] Event read_row(std::string_view payload);
    [[nodiscard]] Event read_end(std::string_view payload);

    State state_ = State::count;
    std::size_t columns_;
    std::size_t definitions_;  // still to come
    std::optional<std::string> value_;
    std::string_view fault_;
};

}  // namespace palier::health
