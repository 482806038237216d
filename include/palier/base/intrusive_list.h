// A doubly linked list whose links live in its elements: no allocation, and an element leaves in O(1)
// without knowing its list. The list does not own its elements.
// Thread: as its elements.
#pragma once

#include "palier/base/assert.h"

#include <cstddef>

namespace palier::base {

/// Inherit privately-named: `struct Thing : ListLink<Thing>`. `Tag` lets one object be in several lists.
template <typename T, typename Tag = void>
class ListLink {
  public:
    ListLink() = default;
    ListLink(const ListLink&) = delete;
    ListLink& operator=(const ListLink&) = delete;
    ~ListLink() { unlink(); }

    [[nodiscard]] bool linked() const { return next_ != nullptr; }

    /// Leaves the list it is in, if any; may be called twice.
    void unlink() {
        if (next_ == nullptr) return;
        prev_->next_ = next_;
        next_->prev_ = prev_;
        next_ = prev_ = nullptr;
    }

  private:
    template <typename, typename>
    friend class IntrusiveList;

    ListLink* next_ = nullptr;
    ListLink* prev_ = nullptr;
};

template <typename T, typename Tag = void>
class IntrusiveList {
    using Link = ListLink<T, Tag>;

  public:
    IntrusiveList() { head_.next_ = head_.prev_ = &head_; }
    ~IntrusiveList() {
        while (!empty())
            front()->Link::unlink();
        head_.next_ = nullptr;
    }
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;

    [[nodiscard]] bool empty() const { return head_.next_ == &head_; }
    [[nodiscard]] T* front() { return empty() ? nullptr : static_cast<T*>(head_.next_); }
    [[nodiscard]] T* back() { return empty() ? nullptr : static_cast<T*>(head_.prev_); }

    /// The element after `element`, or nullptr at the end.
    [[nodiscard]] T* next(T* element) {
        Link* link = static_cast<Link*>(element)->next_;
        return link == &head_ ? nullptr : static_cast<T*>(link);
    }

    void push_front(T& element) { insert_before(*head_.next_, element); }
    void push_back(T& element) { insert_before(head_, element); }

    T* pop_front() {
        T* element = front();
        if (element != nullptr) static_cast<Link*>(element)->unlink();
        return element;
    }

    /// Moves all of `other`'s elements to the end of this list, in O(1).
    void take_all(IntrusiveList& other) {
        if (other.empty()) return;
        Link* first = other.head_.next_;
        Link* last = other.head_.prev_;
        other.head_.next_ = other.head_.prev_ = &other.head_;
        first->prev_ = head_.prev_;
        head_.prev_->next_ = first;
        last->next_ = &head_;
        head_.prev_ = last;
    }

  private:
    static void insert_before(Link& place, Link& link) {
        PALIER_ASSERT(!link.linked());
        link.next_ = &place;
        link.prev_ = place.prev_;
        place.prev_->next_ = &link;
        place.prev_ = &link;
    }

    Link head_;
};

}  // namespace palier::base
