// RolloutRun: a roll-out of one pool under way: which servers come next, how far it has come, and who is told.
// Thread: control only. Owner: Rollouts, by way of the loop's deferred deletion. Ends: on_over, or drop().
#pragma once

#include "control/rollout_options.h"
#include "control/rollout_record.h"
#include "control/rollout_server.h"
#include "palier/control/command.h"
#include "palier/control/events.h"
#include "palier/net/deferred.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace palier::control {

class RolloutRun final : public net::Deferred {
  public:
    struct Plan {
        std::string pool;
        RolloutOptions options;
        RolloutRecord record;  // of a new roll-out, or of one that is resumed
        Stamp stamp;           // for what it changes in the overlay
    };

    RolloutRun(RolloutGround& ground, Events& events, Plan plan, std::shared_ptr<Reply> reply,
               std::function<void(RolloutRun&)> on_over);
    RolloutRun(const RolloutRun&) = delete;
    RolloutRun& operator=(const RolloutRun&) = delete;

    void start();
    /// `reply` is done once everything has ended.
    void abort(std::shared_ptr<Reply> reply);
    /// Nothing more is said or changed, and hooks are terminated.
    void drop();

    [[nodiscard]] const std::string& pool() const { return plan_.pool; }
    [[nodiscard]] const RolloutRecord& record() const { return plan_.record; }

  private:
    void begin_batch();
    void begin_server(const std::string& name, const std::vector<std::string>& batch);
    [[nodiscard]] std::vector<std::string> next_batch();
    [[nodiscard]] std::string reason_to_skip(const std::string& name) const;

    void on_step(const RolloutServer& server, std::string_view detail);
    void note(const RolloutServer& server);
    void on_line(const RolloutServer& server, net::Process::Stream stream, std::string_view line);
    void on_end(const RolloutServer& server, const RolloutServer::End& end);
    void note_end(const std::string& name, const RolloutServer::End& end);

    void finish();
    void stop_after_failure();
    void finish_aborted();
    void keep(const nlohmann::json& record);
    void tell(std::string_view server, std::string_view step, std::string_view detail);
    [[nodiscard]] nlohmann::json summary() const;
    [[nodiscard]] std::string advice() const;

    RolloutGround& ground_;
    Events& events_;
    Plan plan_;
    std::shared_ptr<Reply> reply_;                       // null once its client has gone
    std::vector<std::shared_ptr<Reply>> abort_replies_;  // any: it is being aborted
    std::function<void(RolloutRun&)> on_over_;
    std::vector<std::unique_ptr<RolloutServer>> servers_;  // of this batch and those before
    std::size_t active_ = 0;
    std::uint64_t started_ms_ = 0;
    RolloutRecord kept_;  // as it was written last
    std::string unkept_;  // why it could not be written; told once
    std::shared_ptr<const char> life_;
};

}  // namespace palier::control
