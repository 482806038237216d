#include "control/state_file.h"

#include "config/load_fixture.h"

#include <csignal>
#include <thread>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace palier::control {
namespace {

using config::Folder;

std::vector<std::string> names_in(const Folder& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
        names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
}

/// What is read, "none" or the failure's reason.
std::string contents(const StateFile& file, std::size_t most = 100) {
    const auto text = file.read(most);
    if (!text) return text.error().message;
    return text->value_or("none");
}

TEST_CASE("a state file is read as it was written last, and nothing else is left") {
    const Folder folder;
    const StateFile file(folder.path("state.json"));
    CHECK(contents(file) == "none");
    CHECK(file.obstacle().empty());
    CHECK(file.write("one").empty());
    CHECK(contents(file) == "one");
    CHECK(file.write(std::string(1 << 20, 'x')).empty());
    CHECK(file.write("two").empty());
    CHECK(contents(file) == "two");
    CHECK(names_in(folder) == std::vector<std::string>{"state.json"});
    struct stat facts {};
    REQUIRE(::stat(file.path().c_str(), &facts) == 0);
    CHECK((facts.st_mode & 07) == 0);
}

TEST_CASE("what cannot be a state file is told with the reason") {
    const Folder folder;
    folder.write("long", std::string(101, 'x'));
    CHECK(contents(StateFile(folder.path("long"))) == "it is longer than 100 bytes");
    CHECK(contents(StateFile(folder.path())) == "it is not a regular file");
    REQUIRE(::mkfifo(folder.path("pipe").c_str(), 0600) == 0);
    CHECK(contents(StateFile(folder.path("pipe"))) == "it is not a regular file");
}

TEST_CASE("without its folder nothing is written, and what is in the way is told") {
    const Folder folder;
    const StateFile file(folder.path("none/state.json"));
    CHECK(contents(file) == "none");
    CHECK(file.obstacle() == folder.path("none") + ": No such file or directory");
    CHECK(file.write("x").find("No such file or directory") != std::string::npos);
    folder.write("plain", "");
    CHECK(contents(StateFile(folder.path("plain/state.json"))) == "none");
    CHECK(StateFile(folder.path("plain/state.json")).obstacle() ==
          folder.path("plain") + ": Not a directory");
}

TEST_CASE("a failed write leaves what was there, and no temporary file") {
    const Folder folder;
    folder.write("state.json/inside", "");  // a folder that rename() cannot replace
    const StateFile file(folder.path("state.json"));
    CHECK_FALSE(file.write("x").empty());
    CHECK(names_in(folder) == std::vector<std::string>{"state.json"});
}

TEST_CASE("a file that is set aside keeps its bytes under another name") {
    const Folder folder;
    const StateFile file(folder.write("state.json", "garbage"));
    const auto aside = file.set_aside();
    REQUIRE(aside);
    CHECK(aside->starts_with(file.path() + ".broken-20"));
    CHECK(contents(StateFile(*aside)) == "garbage");
    CHECK(contents(file) == "none");
    CHECK_FALSE(file.set_aside());
}

/// The number of a process that has ended.
pid_t a_dead_process() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
    return child;
}

TEST_CASE("what killed processes left while writing is removed, what others write is not") {
    const Folder folder;
    const StateFile file(folder.write("state.json", "x"));
    folder.write("state.json.new-" + std::to_string(a_dead_process()), "half");
    const std::string living = "state.json.new-" + std::to_string(::getppid());
    folder.write(living, "half");
    folder.write("state.json.new-", "");
    folder.write("state.json.new-1x", "");
    folder.write("state.json.bak", "");
    file.tidy();
    std::vector<std::string> kept{"state.json", "state.json.bak", "state.json.new-", "state.json.new-1x",
                                  living};
    std::ranges::sort(kept);
    CHECK(names_in(folder) == kept);
}

TEST_CASE("killed at any instant, a writer leaves a whole file") {
    const Folder folder;
    const StateFile file(folder.path("state.json"));
    const std::string one(100'000, '1');
    const std::string two(50'000, '2');
    for (int round = 0; round < 20; ++round) {
        const pid_t writer = ::fork();
        if (writer == 0) {
            while (true) {
                (void)file.write(one);
                (void)file.write(two);
            }
        }
        while (!std::filesystem::exists(file.path()))
            std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::microseconds(round * 700));  // somewhere in a write
        ::kill(writer, SIGKILL);
        ::waitpid(writer, nullptr, 0);
        const std::string text = contents(file, 200'000);
        CHECK((text == one || text == two));
        file.tidy();
        CHECK(names_in(folder) == std::vector<std::string>{"state.json"});
    }
}

}  // namespace
}  // namespace palier::control
