#include "palier/health/judge.h"

namespace palier::health {

using pool::Health;

bool Judge::apply(bool well, const config::HealthConfig& config) {
    const Health before = state_;
    switch (state_) {
        case Health::unprobed:
        case Health::unknown:
            state_ = well ? Health::up : Health::down;
            break;
        case Health::up:
        case Health::falling:
            in_row_ = well ? 0 : in_row_ + 1;
            state_ = well ? Health::up : in_row_ < config.fall ? Health::falling : Health::down;
            break;
        case Health::down:
        case Health::rising:
            in_row_ = well ? in_row_ + 1 : 0;
            state_ = !well ? Health::down : in_row_ < config.rise ? Health::rising : Health::up;
            break;
    }
    if (state_ == Health::up || state_ == Health::down) in_row_ = 0;
    return state_ != before;
}

void Judge::doubt() {
    state_ = Health::down;
    in_row_ = 0;
}

void Judge::resume(Health standing) {
    const bool in_use = standing == Health::up || standing == Health::falling;
    state_ = in_use ? Health::up : Health::down;
    in_row_ = 0;
}

bool Judge::usable(Health state, const config::HealthConfig& config) {
    switch (state) {
        case Health::unknown:
            return config.start_up;
        case Health::unprobed:
        case Health::up:
        case Health::falling:
            return true;
        case Health::down:
        case Health::rising:
            return false;
    }
    return false;
}

config::Duration Judge::interval(const config::HealthConfig& config) const {
    switch (state_) {
        case Health::falling:
        case Health::rising:
            return config.fast_interval;
        case Health::down:
            return config.down_interval;
        case Health::unprobed:
        case Health::unknown:
        case Health::up:
            break;
    }
    return config.interval;
}

}  // namespace palier::health
