// Smooth weighted round robin: weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
//
// The rule: at each pick every entry's credit grows by its weight, the entry with the most credit is picked
// (the first of equals) and pays the sum of all weights. Credits are lines in the number of picks, so the
// greatest is kept by a kinetic tournament tree: each inner node knows its winner and the pick at which
// another could overtake it. A pick and a change of weight cost O(log n) amortised. A handful of entries
// needs no tree: there the rule is applied as it stands.
//
// Thread: worker only. Owner: the worker's view of a pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace palier::balance {

class SmoothWeighted {
  public:
    static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

    /// Starts afresh with these weights, 0 to 65,535 each; weight 0 is never picked.
    void assign(std::span<const std::uint32_t> weights);

    /// Changes one weight; the other entries keep their place in the rotation, and an entry that comes back
    /// from 0 starts with no credit and no debt. Allocates nothing.
    void set_weight(std::size_t index, std::uint32_t weight);

    [[nodiscard]] std::uint32_t weight(std::size_t index) const { return entries_[index].weight; }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// The sum of all weights; 0: there is nothing to pick.
    [[nodiscard]] std::uint64_t total() const { return static_cast<std::uint64_t>(total_); }

    /// The next entry, or kNone when every weight is 0. Allocates nothing.
    [[nodiscard]] std::size_t pick();

    /// Moves `picks` places on in the rotation, so that workers need not all start with the same server.
    /// Costs as much as that many picks.
    void skip(std::size_t picks);

    /// How often two entries of the tree have been compared so far: what the picks have cost.
    [[nodiscard]] std::uint64_t matches() const { return matches_; }

  private:
    struct Entry {
        std::int64_t base = 0;     // credit now: base + weight * now_
        std::uint32_t weight = 0;  // 0: its base is below every credit
    };
    /// One match of the tournament, between the winners of its two children.
    struct Node {
        std::uint32_t winner;
        std::uint32_t expires;  // the pick before which no winner in this subtree changes
    };

    [[nodiscard]] std::int64_t credit(const Entry& entry) const {
        return entry.base + static_cast<std::int64_t>(entry.weight) * now_;
    }
    [[nodiscard]] bool has_tree() const { return !nodes_.empty(); }
    [[nodiscard]] std::size_t pick_by_scan();
    [[nodiscard]] std::size_t pick_from_tree();
    void settle();
    void build_tree();
    void refresh(std::size_t node);
    void replay_path(std::size_t index);
    void play(std::size_t node);

    std::vector<Entry> entries_;  // with a tree, filled up to a power of two
    std::vector<Node> nodes_;     // nodes_[1] is the root, i's children are 2i and 2i+1, leaves are entries_
    std::size_t size_ = 0;
    std::size_t usable_ = 0;  // entries with a weight
    std::int64_t total_ = 0;
    std::int64_t credits_ = 0;        // the sum of all usable entries' credits, which picking does not change
    std::int64_t largest_total_ = 0;  // since the last settle()
    std::uint32_t now_ = 0;           // picks since the last settle(); stays 0 without a tree
    std::uint32_t settle_at_ = 0;
    std::uint64_t matches_ = 0;
};

}  // namespace palier::balance
