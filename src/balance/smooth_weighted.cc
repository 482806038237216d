#include "palier/balance/smooth_weighted.h"

#include "palier/base/assert.h"

#include <algorithm>
#include <bit>

namespace palier::balance {
namespace {

constexpr std::uint32_t kMaxWeight = 65'535;
constexpr std::size_t kLargestScan = 16;  // entries up to which looking at all is cheaper than the tree
constexpr std::uint32_t kSettleEvery = 1U << 20U;  // picks; keeps weight * now far from any limit
constexpr std::int64_t kUnusable = std::numeric_limits<std::int64_t>::min() / 4;
constexpr std::uint32_t kNoExpiry = std::numeric_limits<std::uint32_t>::max();

}  // namespace

void SmoothWeighted::assign(std::span<const std::uint32_t> weights) {
    size_ = weights.size();
    const bool tree = size_ > kLargestScan;
    entries_.assign(tree ? std::bit_ceil(size_) : size_, Entry{kUnusable, 0});
    nodes_.assign(tree ? entries_.size() : 0, Node{0, kNoExpiry});
    usable_ = 0;
    total_ = credits_ = largest_total_ = 0;
    now_ = 0;
    for (std::size_t i = 0; i < size_; ++i) {
        PALIER_ASSERT(weights[i] <= kMaxWeight);
        if (weights[i] == 0) continue;
        entries_[i] = {0, weights[i]};
        total_ += weights[i];
        ++usable_;
    }
    settle();
}

void SmoothWeighted::set_weight(std::size_t index, std::uint32_t weight) {
    PALIER_ASSERT(index < size_ && weight <= kMaxWeight);
    Entry& entry = entries_[index];
    if (entry.weight == weight) return;

    std::int64_t kept = 0;
    if (entry.weight != 0) {
        kept = credit(entry);
        credits_ -= kept;
        --usable_;
    } else if (usable_ != 0) {
        kept = credits_ / static_cast<std::int64_t>(usable_);  // the mean: neither credit nor debt
    }
    total_ += static_cast<std::int64_t>(weight) - static_cast<std::int64_t>(entry.weight);
    largest_total_ = std::max(largest_total_, total_);
    if (weight != 0) {
        credits_ += kept;
        ++usable_;
    }
    entry.weight = weight;
    entry.base = weight == 0 ? kUnusable : kept - static_cast<std::int64_t>(weight) * now_;

    if (!has_tree()) {
        settle();
        return;
    }
    replay_path(index);
    // Debts made when the total was large must not outlast it. Settling looks at every entry, so it waits for
    // enough picks to share its cost.
    if (total_ < largest_total_ / 2) {
        settle_at_ = std::min(settle_at_, now_ + static_cast<std::uint32_t>(size_));
    }
}

std::size_t SmoothWeighted::pick() {
    if (total_ == 0) return kNone;
    return has_tree() ? pick_from_tree() : pick_by_scan();
}

void SmoothWeighted::skip(std::size_t picks) {
    if (total_ == 0) return;
    for (; picks > 0; --picks)
        static_cast<void>(pick());
}

std::size_t SmoothWeighted::pick_by_scan() {
    std::size_t best = 0;
    std::int64_t most = kUnusable;
    for (std::size_t i = 0; i < size_; ++i) {
        Entry& entry = entries_[i];
        entry.base += entry.weight;
        if (entry.base > most) {
            most = entry.base;
            best = i;
        }
    }
    entries_[best].base -= total_;
    return best;
}

std::size_t SmoothWeighted::pick_from_tree() {
    if (now_ >= settle_at_) settle();
    ++now_;
    refresh(1);
    const std::size_t best = nodes_[1].winner;
    entries_[best].base -= total_;
    replay_path(best);
    return best;
}

/// Counts picks from 0 again and moves all credits so that their mean is 0, which changes no order. After the
/// total has shrunk a lot, bounds what is left of the time before: nobody waits longer than a rotation.
void SmoothWeighted::settle() {
    const bool shrunk = total_ < largest_total_ / 2;
    const std::int64_t mean = usable_ == 0 ? 0 : credits_ / static_cast<std::int64_t>(usable_);
    credits_ = 0;
    for (Entry& entry : entries_) {
        if (entry.weight == 0) continue;
        entry.base = credit(entry) - mean;
        if (shrunk) entry.base = std::clamp(entry.base, -total_, total_);
        credits_ += entry.base;
    }
    largest_total_ = total_;
    now_ = 0;
    settle_at_ = kSettleEvery;
    if (has_tree()) build_tree();
}

void SmoothWeighted::build_tree() {
    for (std::size_t node = nodes_.size() - 1; node > 0; --node)
        play(node);
}

/// Plays again what has expired in the subtree of `node`.
void SmoothWeighted::refresh(std::size_t node) {
    if (node >= nodes_.size() || nodes_[node].expires > now_) return;
    refresh(2 * node);
    refresh(2 * node + 1);
    play(node);
}

void SmoothWeighted::replay_path(std::size_t index) {
    for (std::size_t node = (nodes_.size() + index) / 2; node > 0; node /= 2)
        play(node);
}

void SmoothWeighted::play(std::size_t node) {
    ++matches_;
    const std::size_t child = 2 * node;
    std::uint32_t left = 0;
    std::uint32_t right = 0;
    std::uint32_t expires = kNoExpiry;
    if (child < nodes_.size()) {
        left = nodes_[child].winner;
        right = nodes_[child + 1].winner;
        expires = std::min(nodes_[child].expires, nodes_[child + 1].expires);
    } else {
        left = static_cast<std::uint32_t>(child - nodes_.size());
        right = left + 1;
    }
    // The left one wins a draw: it comes first. Its lead, or one more than the right one's, is what the other
    // has to make up for.
    const std::int64_t lead = credit(entries_[left]) - credit(entries_[right]);
    const std::int64_t gain =
        static_cast<std::int64_t>(entries_[right].weight) - static_cast<std::int64_t>(entries_[left].weight);
    const bool left_wins = lead >= 0;
    const auto margin = static_cast<std::uint64_t>(left_wins ? lead : -lead - 1);
    const std::int64_t approach = left_wins ? gain : -gain;
    // Overtaken once approach * picks > margin. The division is spared where a child expires before that
    // anyway.
    if (approach > 0 && static_cast<std::uint64_t>(approach) * (expires - now_ - 1) > margin) {
        expires = now_ + static_cast<std::uint32_t>(margin / static_cast<std::uint64_t>(approach)) + 1;
    }
    nodes_[node] = {left_wins ? left : right, expires};
}

}  // namespace palier::balance
