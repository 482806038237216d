// A dialogue run against scripted bytes, cut in every way, each way in memory of exactly its size.
#pragma once

#include "catch.h"
#include "palier/health/dialogue.h"

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace palier::health::test {

using Make = std::function<std::unique_ptr<Dialogue>()>;

/// What came of a dialogue: "well", "well, reusable", its reason, or "waiting: <stage>".
inline std::string outcome(const Dialogue& dialogue, Dialogue::Step step) {
    if (step == Dialogue::Step::more) return "waiting: " + std::string(dialogue.stage());
    if (dialogue.reusable()) CHECK(dialogue.result().well);
    if (!dialogue.result().well) {
        CHECK_FALSE(dialogue.result().reason.empty());
        return dialogue.result().reason;
    }
    CHECK(dialogue.result().reason.empty());
    return dialogue.reusable() ? "well, reusable" : "well";
}

/// Feeds `bytes` in pieces of `size`, and stops at the verdict. `said`: all that the dialogue sent.
inline std::string run(Dialogue& dialogue, std::string_view bytes, std::size_t size, bool close,
                       std::string* said = nullptr) {
    std::string sent = dialogue.take_output();
    auto step = Dialogue::Step::more;
    while (!bytes.empty() && step == Dialogue::Step::more) {
        const std::string_view next = bytes.substr(0, size);
        const std::unique_ptr<char[]> exact(new char[next.size()]);
        std::memcpy(exact.get(), next.data(), next.size());
        step = dialogue.on_bytes({exact.get(), next.size()});
        bytes.remove_prefix(next.size());
        sent += dialogue.take_output();
    }
    if (close && step == Dialogue::Step::more) step = dialogue.on_close();
    sent += dialogue.take_output();
    if (said != nullptr) *said = sent;
    return outcome(dialogue, step);
}

/// The outcome of `bytes`, which must be the same in one piece, byte by byte, and in pieces of some sizes
/// between; and a dialogue that is done does not change its mind.
inline std::string outcome_of(const Make& make, std::string_view bytes, bool close = false,
                              std::string* said = nullptr) {
    std::string whole_said;
    auto dialogue = make();
    std::string whole = run(*dialogue, bytes, bytes.size() + 1, close, &whole_said);
    for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7},
                                   std::size_t{1000}, std::size_t{40'000}}) {
        INFO("pieces of " << size);
        std::string said_in_pieces;
        auto other = make();
        CHECK(run(*other, bytes, size, close, &said_in_pieces) == whole);
        CHECK(said_in_pieces == whole_said);
    }
    if (!whole.starts_with("waiting")) {
        CHECK(dialogue->on_bytes("more") == Dialogue::Step::done);
        CHECK(dialogue->on_close() == Dialogue::Step::done);
        CHECK(outcome(*dialogue, Dialogue::Step::done) == whole);
        CHECK(dialogue->take_output().empty());
    }
    if (said != nullptr) *said = whole_said;
    return whole;
}

inline std::string closed_after(const Make& make, std::string_view bytes) {
    return outcome_of(make, bytes, true);
}

}  // namespace palier::health::test
