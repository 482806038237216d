// Probe dialogues: the verdict, its reason and what is said on the way are the same however the server's bytes
// are cut; a verdict is final; reasons are one clean line; and only a good answer leaves a connection for reuse.
#include "palier/health/dialogue.h"
#include "split.h"

using namespace palier;
using namespace palier::fuzz;
using health::Dialogue;

namespace {

/// What `options` make of the probe: which dialogue, and what it asks.
config::HealthConfig config_of(unsigned options) {
    config::HealthConfig config;
    if ((options & 1) != 0) {
        config.type = config::ProbeType::mysql;
        if ((options & 2) != 0) config.user = "palier";
        if ((options & 4) != 0) config.read_only = config::ReadOnly::off;
        if ((options & 8) != 0) config.read_only = config::ReadOnly::on;
    } else {
        if ((options & 2) != 0) config.method = "HEAD";
        if ((options & 4) != 0) config.expect_body = "ok ok!";
        config.keep_alive = (options & 8) != 0;
    }
    return config;
}

std::unique_ptr<Dialogue> begin(const config::HealthConfig& config) {
    if (config.type == config::ProbeType::mysql) return health::make_mysql_dialogue(config);
    return health::make_http_dialogue(config, "server");
}

void check_verdict(const Dialogue& dialogue) {
    const health::Result& result = dialogue.result();
    PALIER_ASSERT(result.well == result.reason.empty());
    PALIER_ASSERT(result.reason.size() < 300);
    PALIER_ASSERT(result.well || !dialogue.reusable());
    check_clean(result.reason);
}

/// The dialogue's end, and all that it said. Whether the connection may be used again is left out: it depends
/// on whether bytes beyond the answer have come with its last ones.
std::string describe(const config::HealthConfig& config, std::string_view message,
                     const std::vector<std::size_t>& ends, bool close) {
    const auto dialogue = begin(config);
    std::string text = dialogue->take_output();
    auto step = Dialogue::Step::more;
    std::size_t at = 0;
    for (const std::size_t end : ends) {
        if (step == Dialogue::Step::done || end == at) break;
        const ExactBytes piece(message.substr(at, end - at));
        step = dialogue->on_bytes(piece.view());
        text += dialogue->take_output();
        at = end;
    }
    if (step == Dialogue::Step::more) {
        PALIER_ASSERT(!dialogue->stage().empty());
        if (!close) return text.append(" waits: ").append(dialogue->stage());
        step = dialogue->on_close();
        PALIER_ASSERT(step == Dialogue::Step::done);
        text += dialogue->take_output();
    }
    check_verdict(*dialogue);
    const bool reusable = dialogue->reusable();
    PALIER_ASSERT(!reusable || config.keep_alive);
    PALIER_ASSERT(dialogue->on_bytes("x") == Dialogue::Step::done);
    PALIER_ASSERT(dialogue->on_close() == Dialogue::Step::done);
    PALIER_ASSERT(dialogue->take_output().empty() && dialogue->reusable() == reusable);
    return text.append(dialogue->result().well ? " well" : " ill: ").append(dialogue->result().reason);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Input input(data, size);
    const config::HealthConfig config = config_of(input.options);
    const bool close = (input.options & 16) != 0;
    const std::string whole = describe(config, input.message, {input.message.size()}, close);
    PALIER_ASSERT(describe(config, input.message, input.cuts(), close) == whole);
    return 0;
}
