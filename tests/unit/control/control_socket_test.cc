#include "palier/control/control_socket.h"

#include "catch.h"
#include "control/control_fixture.h"

#include <algorithm>
#include <filesystem>

#include <sys/resource.h>
#include <sys/stat.h>

namespace palier::control {
namespace {

using nlohmann::json;
using test::ControlClient;
using test::ControlFixture;

TEST_CASE("a request is answered with its peer, as the kernel knows it") {
    ControlFixture control;
    const auto answers = control.answers_to("echo a \"b c\"\n");
    REQUIRE(answers.size() == 1);
    CHECK(
        answers[0] ==
        json{
            {"words", {"a", "b c"}}, {"uid", ::getuid()}, {"pid", ::getpid()}, {"done", true}, {"ok", true}});
}

TEST_CASE("a line may come in any pieces") {
    ControlFixture control;
    ControlClient client = control.client();
    constexpr std::string_view kLine = "echo 1\n\n  \necho \"2\"\n";
    for (const char c : kLine) {
        client.send(std::string_view(&c, 1));
        control.loop.run_once(0);
    }
    REQUIRE(control.until_lines(client, 2));
    CHECK(client.lines()[0]["words"] == json{"1"});
    CHECK(client.lines()[1]["words"] == json{"2"});
}

TEST_CASE("requests of one connection are answered in their order, one a turn") {
    ControlFixture control;
    ControlClient client = control.client();
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "echo " + std::to_string(i) + "\n";
    client.send(many);
    REQUIRE(control.until_lines(client, 1));
    CHECK(client.lines().size() < 10);
    REQUIRE(control.until_lines(client, 1000));
    const auto lines = client.lines();
    for (std::size_t i = 0; i < lines.size(); ++i)
        REQUIRE(lines[i]["words"] == json{std::to_string(i)});
}

TEST_CASE("a command that takes its time holds up its own connection and no other") {
    ControlFixture control;
    ControlClient slow = control.client();
    slow.send("keep\necho after\n");
    REQUIRE(control.until_lines(slow, 1));
    CHECK(control.answers_to("echo other\n").size() == 1);
    slow.receive();
    CHECK(slow.lines().size() == 1);
    control.kept[0]->event({{"left", 3}});
    control.kept[0]->done({{"left", 0}});
    CHECK_FALSE(control.kept[0]->open());
    REQUIRE(control.until_lines(slow, 4));
    const auto lines = slow.lines();
    CHECK(lines[1] == json{{"left", 3}});
    CHECK(lines[2] == json{{"left", 0}, {"done", true}, {"ok", true}});
    CHECK(lines[3]["words"] == json{"after"});
}

TEST_CASE("a reply ends once, and one that is given up fails") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("keep\nkeep\n");
    REQUIRE(control.until_lines(client, 1));
    control.kept[0]->fail("no", {{"left", 1}, {"ok", true}});
    control.kept[0]->done();
    control.kept[0]->event({{"too", "late"}});
    control.kept.clear();
    REQUIRE(control.until_lines(client, 3));
    CHECK(client.lines()[1] == json{{"left", 1}, {"done", true}, {"ok", false}, {"error", "no"}});
    control.kept.clear();
    REQUIRE(control.until_lines(client, 4));
    CHECK(client.lines()[3] == json{{"done", true}, {"ok", false}, {"error", "the command was given up"}});
    CHECK(control.gone == 0);
}

TEST_CASE("what is no UTF-8, or no object, still makes a line") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("keep\n");
    REQUIRE(control.until_lines(client, 1));
    control.kept[0]->event({{"reason", "a\xff\nb"}, {"done", true}});
    control.kept[0]->event(json::array({1, 2}));
    control.kept[0]->done(nullptr);
    REQUIRE(control.until_lines(client, 4));
    CHECK(client.lines()[1] == json{{"reason", "a\xef\xbf\xbd\nb"}});
    CHECK(client.lines()[2] == json{{"value", {1, 2}}});
    CHECK(client.lines()[3] == json{{"done", true}, {"ok", true}});
}

TEST_CASE("a half-closed client gets all its answers; a line without an end is not obeyed") {
    ControlFixture control;
    const auto answers = control.answers_to("echo 1\necho 2\necho 3");
    REQUIRE(answers.size() == 3);
    CHECK(answers[1]["words"] == json{"2"});
    CHECK(answers[2]["ok"] == false);
    CHECK(answers[2]["error"] == "the last line has no end and is not obeyed");
    CHECK(control.answers_to("").empty());
}

TEST_CASE("a half-closed client may wait for a command that takes its time") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("keep\n");
    client.half_close();
    REQUIRE(control.until_lines(client, 1));
    control.loop.run_once(0);
    CHECK(control.gone == 0);
    control.kept[0]->done();
    REQUIRE(control.until_ended(client));
    CHECK(client.lines().size() == 2);
}

TEST_CASE("a client's end is told to its command once, and what comes after it is not begun") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("keep\nkeep\n");
    SECTION("all at once") {}
    SECTION("after it said that it sends no more") {
        client.half_close();
        REQUIRE(control.until_lines(client, 1));
    }
    client.close();
    REQUIRE(control.until([&] { return control.gone == 1 && control.socket.connections() == 0; }));
    CHECK(control.kept.size() == 1);
    CHECK_FALSE(control.kept[0]->open());
    control.kept[0]->event({{"for", "nobody"}});
    control.kept[0]->done();
    int late = 0;
    control.kept[0]->on_gone([&] { ++late; });
    CHECK(late == 0);
    CHECK(control.gone == 1);
}

TEST_CASE("whole lines count, even of a client that did not wait for the answers") {
    ControlFixture control;
    {
        const ControlClient client = control.client();
        client.send("echo 1\necho 2\nkeep\nkeep");
    }
    REQUIRE(control.until([&] { return control.gone == 1 && control.socket.connections() == 0; }));
    CHECK(control.kept.size() == 1);
}

TEST_CASE("bad lines are answered and change nothing for the next one") {
    ControlFixture control;
    const auto answers = control.answers_to("echo \"x\nno\x01\n\xff\xfe\necho size=1 size=2\nehco\necho x\n");
    REQUIRE(answers.size() == 6);
    for (std::size_t i = 0; i < 5; ++i)
        CHECK(answers[i]["ok"] == false);
    CHECK(answers[0]["error"] == "column 6: the quote is never closed");
    CHECK(answers[4]["error"] == "there is no command \"ehco\"; did you mean \"echo\"?");
    CHECK(answers[5]["ok"] == true);
}

TEST_CASE("a line of 64 KiB is obeyed, a longer one ends the connection with a word") {
    ControlFixture control;
    const std::string longest = "echo " + std::string(64 * 1024 - 5, 'x');
    const auto answers = control.answers_to(longest + "\n");
    REQUIRE(answers.size() == 1);
    CHECK(answers[0]["ok"] == true);

    for (const std::string& more : {std::string("x\necho after\n"), std::string(1024 * 1024, 'x')}) {
        ControlClient client = control.client();
        std::string_view rest = more;
        std::string_view line = longest;
        REQUIRE(control.until([&] {
            line.remove_prefix(client.send_some(line));
            if (line.empty()) rest.remove_prefix(client.send_some(rest));
            return !client.receive();
        }));
        REQUIRE(client.lines().size() == 1);
        CHECK(client.lines()[0]["error"] == "the line is longer than 64 KiB");
    }
    CHECK(control.until([&] { return control.socket.connections() == 0; }));
}

TEST_CASE("garbage is answered line by line") {
    ControlFixture control;
    std::string garbage;
    for (int i = 0; i < 3000; ++i)
        garbage += static_cast<char>((i * 7919 + i / 256) % 256);
    const auto count = static_cast<std::size_t>(std::ranges::count(garbage, '\n'));
    const auto answers = control.answers_to(garbage + "\n");
    CHECK(answers.size() <= count + 1);
    CHECK(answers.size() > count / 2);
    for (const json& answer : answers)
        CHECK(answer["ok"] == false);
}

TEST_CASE("descriptors that a client sends are closed, and its line is read to the end") {
    ControlFixture control;
    const ControlClient client = control.client();
    auto [ours, sent] = test::socket_pair();
    const int descriptors[] = {sent.get()};
    REQUIRE(net::send_with_descriptors(client.descriptor(), "ec", descriptors).size == 2);
    REQUIRE(net::send_with_descriptors(client.descriptor(), "ho 1\n", descriptors).size == 5);
    client.send("echo 2\n");
    sent.close();
    ControlClient& reader = const_cast<ControlClient&>(client);
    REQUIRE(control.until_lines(reader, 2));
    char byte = 0;
    CHECK(::recv(ours.get(), &byte, 1, MSG_DONTWAIT) == 0);  // no other end is open any more
}

TEST_CASE("a reply hands descriptors over, any number, each once and with its line") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("keep\n");
    REQUIRE(control.until_lines(client, 1));
    auto [first, other] = test::socket_pair();
    for (int i = 0; i < 450; ++i)
        control.kept[0]->attach(i < 449 ? first.get() : other.get());
    first.close();
    other.close();
    control.kept[0]->event({{"padding", std::string(900'000, 'x')}});
    auto [third, fourth] = test::socket_pair();
    control.kept[0]->attach(third.get());
    third.close();
    control.kept[0]->done();
    REQUIRE(control.until_lines(client, 3));
    REQUIRE(client.descriptors.size() == 451);
    test::Descriptor last = std::move(client.descriptors[449]);
    last.send("x");
    char byte = 0;
    CHECK(::recv(client.descriptors[0].get(), &byte, 1, MSG_DONTWAIT) == 1);
    CHECK(byte == 'x');
    client.descriptors.clear();
    CHECK(::recv(last.get(), &byte, 1, MSG_DONTWAIT) == 0);  // the queue has closed its own
    CHECK(::recv(fourth.get(), &byte, 1, MSG_DONTWAIT) == 0);
}

TEST_CASE("descriptors for a client that goes are closed") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("keep\n");
    REQUIRE(control.until_lines(client, 1));
    control.kept[0]->event({{"padding", std::string(2'000'000, 'x')}});
    control.loop.run_once(0);
    auto [ours, theirs] = test::socket_pair();
    control.kept[0]->attach(theirs.get());
    theirs.close();
    control.kept[0]->event({{"with", "it"}});
    client.close();
    REQUIRE(control.until([&] { return control.gone == 1; }));
    control.loop.run_once(0);
    char byte = 0;
    CHECK(::recv(ours.get(), &byte, 1, MSG_DONTWAIT) == 0);
}

TEST_CASE("a client that reads gets lines of any size and number") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("flood size=5000000 count=1\nflood size=10 count=20000\n");
    client.half_close();
    REQUIRE(control.until_ended(client));
    CHECK(client.lines().size() == 20'003);
}

TEST_CASE("a client that reads too slowly is cut off, and its command told") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("keep\n");
    REQUIRE(control.until_lines(client, 1));
    const std::string text(1000, 'x');
    int sent = 0;
    REQUIRE(control.until([&] {
        for (int i = 0; i < 10; ++i, ++sent)
            control.kept[0]->event({{"text", text}});
        return control.gone == 1;
    }));
    CHECK(sent >= 1000);  // a MiB, and what the kernel holds
    CHECK(sent <= 2000);
    CHECK(control.until([&] { return control.socket.connections() == 0; }));
}

TEST_CASE("a client that takes nothing is cut off in time, whatever it asks for") {
    ControlFixture control({.write_ms = 100});
    ControlClient client = control.client();
    client.send("flood size=900000 count=1\n");
    client.send("echo 1\n");
    REQUIRE(control.until([&] { return control.socket.connections() == 1; }));
    REQUIRE(control.until([&] { return control.socket.connections() == 0; }));
    client.receive();
    CHECK(client.received.size() < 900'000);
}

TEST_CASE("a line that comes slowly is cut by its deadline, however steadily it comes") {
    ControlFixture control({.line_ms = 100});
    ControlClient client = control.client();
    const std::uint64_t began = base::monotonic_ms();
    std::uint64_t next = began;
    REQUIRE(control.until([&] {
        if (base::monotonic_ms() >= next) {
            next = base::monotonic_ms() + 5;
            client.send_some("x");
        }
        return !client.receive();
    }));
    CHECK(base::monotonic_ms() - began >= 100);
    REQUIRE(client.lines().size() == 1);
    CHECK(client.lines()[0]["error"] == "the line did not come in time");
}

TEST_CASE("silence ends a connection, but not while a command runs") {
    ControlFixture control({.idle_ms = 100});
    ControlClient silent = control.client();
    ControlClient waiting = control.client();
    waiting.send("keep\n");
    REQUIRE(control.until_lines(waiting, 1));
    REQUIRE(control.until_ended(silent));
    CHECK(silent.received.empty());
    const std::uint64_t end = base::monotonic_ms() + 150;
    REQUIRE(control.until([&] { return base::monotonic_ms() > end; }));
    CHECK(control.gone == 0);
    control.kept[0]->done();
    REQUIRE(control.until_ended(waiting));
    CHECK(waiting.lines().size() == 2);
}

TEST_CASE("six hundred clients: five hundred and twelve are served, the others told") {
    rlimit files{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
    const rlim_t before = files.rlim_cur;
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
    {
        ControlFixture control;
        std::vector<ControlClient> clients;
        for (std::size_t i = 0; i < 600; ++i) {
            clients.push_back(control.client());
            if (i % 100 != 99) continue;
            REQUIRE(control.until(
                [&] { return control.socket.connections() == std::min<std::size_t>(i + 1, 512); }));
        }
        std::size_t told = 0;
        REQUIRE(control.until([&] {
            told = static_cast<std::size_t>(
                std::ranges::count_if(clients, [](ControlClient& client) { return !client.receive(); }));
            return told == 88;
        }));
        for (const ControlClient& client : clients) {
            if (!client.ended) {
                client.send("echo 1\n");
            } else {
                CHECK(client.lines().at(0)["error"] == "there are 512 clients already");
            }
        }
        for (ControlClient& client : clients)
            REQUIRE((client.ended || control.until_lines(client, 1)));
        clients.clear();
        REQUIRE(control.until([&] { return control.socket.connections() == 0; }));
        CHECK(control.answers_to("echo 1\n").size() == 1);
    }
    files.rlim_cur = before;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
}

TEST_CASE("close() gives what is there, tells commands, and removes the file") {
    ControlFixture control;
    ControlClient client = control.client();
    client.send("keep\n");
    REQUIRE(control.until_lines(client, 1));
    control.kept[0]->event({{"last", "word"}});
    control.socket.close();
    CHECK(control.gone == 1);
    REQUIRE(control.until_ended(client));
    CHECK(client.lines().size() == 2);
    CHECK_FALSE(std::filesystem::exists(control.path()));
    control.kept[0]->done();
}

TEST_CASE("a socket that no longer listens serves whom it has") {
    ControlFixture control;
    ControlClient client = control.client();
    control.socket.stop_listening();  // it had not been accepted yet
    CHECK_FALSE(std::filesystem::exists(control.path()));
    client.send("echo 1\n");
    REQUIRE(control.until_lines(client, 1));
}

TEST_CASE("a reply outlives the socket") {
    std::shared_ptr<Reply> reply;
    int gone = 0;
    {
        ControlFixture control;
        ControlClient client = control.client();
        client.send("keep\n");
        REQUIRE(control.until_lines(client, 1));
        reply = control.kept[0];
        reply->on_gone([&] { ++gone; });
    }
    CHECK_FALSE(reply->open());
    reply->event({{"for", "nobody"}});
    reply->done();
    CHECK(gone == 0);
}

}  // namespace
}  // namespace palier::control
