#include "palier/base/intrusive_list.h"

#include "catch.h"

#include <memory>
#include <string>

using palier::base::IntrusiveList;
using palier::base::ListLink;

namespace {

struct ByAge;
struct Item : ListLink<Item>, ListLink<Item, ByAge> {
    explicit Item(char letter) : name(letter) {}
    char name;
};

using ByPlace = ListLink<Item>;
using List = IntrusiveList<Item>;

std::string names(List& list) {
    std::string text;
    for (Item* item = list.front(); item != nullptr; item = list.next(item))
        text += item->name;
    return text;
}

}  // namespace

TEST_CASE("an empty list has no elements") {
    List list;
    CHECK(list.empty());
    CHECK(list.front() == nullptr);
    CHECK(list.back() == nullptr);
    CHECK(list.pop_front() == nullptr);
}

TEST_CASE("elements keep their order") {
    List list;
    Item a('a'), b('b'), c('c');
    list.push_back(b);
    list.push_back(c);
    list.push_front(a);
    CHECK(names(list) == "abc");
    CHECK(list.front() == &a);
    CHECK(list.back() == &c);
    CHECK(list.pop_front() == &a);
    CHECK_FALSE(static_cast<ByPlace&>(a).linked());
    CHECK(names(list) == "bc");
}

TEST_CASE("an element leaves from anywhere, twice if it likes, and may come back") {
    List list;
    Item a('a'), b('b'), c('c');
    list.push_back(a);
    list.push_back(b);
    list.push_back(c);
    static_cast<ByPlace&>(b).unlink();
    static_cast<ByPlace&>(b).unlink();
    CHECK(names(list) == "ac");
    list.push_back(b);
    CHECK(names(list) == "acb");
    static_cast<ByPlace&>(a).unlink();
    static_cast<ByPlace&>(b).unlink();
    static_cast<ByPlace&>(c).unlink();
    CHECK(list.empty());
}

TEST_CASE("a dying element leaves its list") {
    List list;
    Item a('a');
    list.push_back(a);
    {
        Item b('b');
        list.push_back(b);
    }
    CHECK(names(list) == "a");
}

TEST_CASE("a dying list lets go of its elements") {
    Item a('a');
    {
        List list;
        list.push_back(a);
    }
    CHECK_FALSE(static_cast<ByPlace&>(a).linked());
    List other;
    other.push_back(a);
    CHECK(names(other) == "a");
}

TEST_CASE("an element is in two lists by two tags") {
    List places;
    IntrusiveList<Item, ByAge> ages;
    Item a('a'), b('b');
    places.push_back(a);
    places.push_back(b);
    ages.push_back(b);
    ages.push_back(a);
    CHECK(ages.pop_front() == &b);
    CHECK(names(places) == "ab");
    CHECK(ages.front() == &a);
}

TEST_CASE("a list takes all of another's elements") {
    List from, to;
    Item a('a'), b('b'), c('c'), d('d');
    to.push_back(a);
    to.take_all(from);
    CHECK(names(to) == "a");
    from.push_back(b);
    from.push_back(c);
    to.take_all(from);
    CHECK(from.empty());
    CHECK(names(to) == "abc");
    CHECK(to.back() == &c);
    from.push_back(d);
    CHECK(names(from) == "d");
    static_cast<ByPlace&>(c).unlink();
    static_cast<ByPlace&>(b).unlink();
    CHECK(names(to) == "a");
}
