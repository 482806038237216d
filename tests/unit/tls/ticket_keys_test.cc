#include "palier/tls/ticket_keys.h"

#include "certificates.h"

namespace palier::tls {
namespace {

std::uint64_t now_ms = 0;
std::uint64_t test_clock() {
    return now_ms;
}

TEST_CASE("random keys are replaced every 12 hours, and the one before opens for as long again") {
    now_ms = 5'000;
    const auto keys = *TicketKeys::random(&test_clock);
    const TicketKey first = keys->current();
    now_ms += TicketKeys::kRotateMs - 1;
    CHECK(keys->current().name == first.name);
    now_ms += 1;
    const TicketKey second = keys->current();
    CHECK(second.name != first.name);
    CHECK(second.aes != first.aes);
    REQUIRE(keys->find(first.name.data()));
    CHECK_FALSE(keys->find(first.name.data())->current);
    CHECK(keys->find(second.name.data())->current);
    now_ms += TicketKeys::kRotateMs;
    CHECK_FALSE(keys->find(first.name.data()));
    CHECK(keys->find(second.name.data()));
}

TEST_CASE("after a long silence no old key opens") {
    now_ms = 0;
    const auto keys = *TicketKeys::random(&test_clock);
    const TicketKey first = keys->current();
    now_ms += 2 * TicketKeys::kRotateMs;
    CHECK_FALSE(keys->find(first.name.data()));
}

TEST_CASE("exported keys open in another process") {
    now_ms = 0;
    const auto keys = *TicketKeys::random(&test_clock);
    const TicketKey first = keys->current();
    now_ms += TicketKeys::kRotateMs;
    const TicketKey second = keys->current();
    const std::string bytes = keys->exported();
    CHECK(bytes.size() == 160);
    const auto imported = TicketKeys::imported(bytes, &test_clock);
    REQUIRE(imported);
    CHECK((*imported)->current().name == second.name);
    CHECK((*imported)->find(first.name.data()));
    CHECK_FALSE(TicketKeys::imported("short"));
}

TEST_CASE("a file's first key seals, all open, and time changes nothing") {
    const Folder folder;
    const std::string file = folder.write("keys", std::string(80, 'a') + std::string(80, 'b'));
    const auto keys = TicketKeys::from_file(file);
    REQUIRE(keys);
    CHECK((*keys)->path() == file);
    CHECK((*keys)->current().name[0] == 'a');
    const std::string a(16, 'a');
    const std::string b(16, 'b');
    const std::string c(16, 'c');
    const auto find = [&](const std::string& name) {
        return (*keys)->find(reinterpret_cast<const unsigned char*>(name.data()));
    };
    CHECK(find(a)->current);
    CHECK_FALSE(find(b)->current);
    CHECK_FALSE(find(c));
}

TEST_CASE("the parts of a key lie as nginx has them") {
    const Folder folder;
    const std::string bytes = std::string(16, 'n') + std::string(32, 'h') + std::string(32, 'a');
    const auto keys = TicketKeys::from_file(folder.write("keys", bytes));
    REQUIRE(keys);
    const TicketKey key = (*keys)->current();
    CHECK((key.name.front() == 'n' && key.name.back() == 'n'));
    CHECK((key.hmac.front() == 'h' && key.hmac.back() == 'h'));
    CHECK((key.aes.front() == 'a' && key.aes.back() == 'a'));
    CHECK((*keys)->exported() == bytes);
}

TEST_CASE("files that hold no keys are refused") {
    const Folder folder;
    for (const std::size_t size : {0, 1, 48, 79, 81, 65 * 80}) {
        const std::string file = folder.write("keys", std::string(size, 'x'));
        const auto keys = TicketKeys::from_file(file);
        REQUIRE_FALSE(keys);
        CHECK(keys.error().message.starts_with(file + ": ticket keys are 80 bytes each"));
    }
    CHECK(TicketKeys::from_file(folder.path("gone")).error().message ==
          folder.path("gone") + ": No such file or directory");
}

TEST_CASE("a file is read again, and a broken one changes nothing") {
    const Folder folder;
    const std::string file = folder.write("keys", std::string(80, 'a'));
    const auto keys = *TicketKeys::from_file(file);
    CHECK(keys->reread() == false);
    folder.replace("keys", "short");
    CHECK_FALSE(keys->reread());
    CHECK(keys->current().name[0] == 'a');
    folder.replace("keys", std::string(80, 'b') + std::string(80, 'a'));
    CHECK(keys->reread() == true);
    CHECK(keys->current().name[0] == 'b');
    CHECK((*TicketKeys::random())->reread() == false);
}

}  // namespace
}  // namespace palier::tls
