// The writer's thread, with real files and pipes: nothing is lost silently, and nobody waits for a reader.
#include "captured_descriptor.h"
#include "catch.h"
#include "log_fixture.h"
#include "palier/proxy/access_log.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <signal.h>
#include <sys/resource.h>

using namespace palier;
using namespace palier::proxy;
using namespace palier::test;

namespace {

constexpr auto kJson = config::LogFormat::json;

std::unique_ptr<AccessLogWriter> open_writer(const std::string& access) {
    auto writer = AccessLogWriter::open(logging_to(access));
    REQUIRE(writer.has_value());
    REQUIRE(*writer != nullptr);
    return std::move(*writer);
}

void write_lines(AccessLog& log, int count) {
    base::WallClock clock = standing_clock();
    for (int line = 0; line < count; ++line)
        log.write(example_record(), clock);
}

/// The sum of all "access log: N lines `ending`" in the event log.
std::uint64_t lines_reported(const std::string& events, const std::string& ending) {
    const std::string beginning = "access log: ";
    std::uint64_t sum = 0;
    for (const std::string& line : split_lines(events)) {
        const std::size_t number = line.find(beginning);
        if (number != std::string::npos && line.ends_with(" lines " + ending)) {
            sum += std::stoull(line.substr(number + beginning.size()));
        }
    }
    return sum;
}

void check_lines_are_whole(const std::string& text) {
    CHECK(text.ends_with("}\n"));
    for (const std::string& line : split_lines(text))
        REQUIRE((line.starts_with("{\"time\"") && line.ends_with("\"}")));
}

}  // namespace

TEST_CASE("lines of all workers arrive whole, after those that were there") {
    const TempFolder folder;
    const std::string path = folder / "access.log";
    std::ofstream(path) << "{\"time\":\"old\"}\n";
    {
        const auto writer = open_writer(path);
        std::vector<std::thread> workers;
        for (int i = 0; i < 4; ++i) {
            workers.emplace_back([&writer] {
                AccessLog log(writer.get(), kJson);
                for (int round = 0; round < 10; ++round) {
                    write_lines(log, 50);
                    log.flush();
                }
            });
        }
        for (std::thread& worker : workers)
            worker.join();
    }
    const std::string text = contents_of(path);
    CHECK(text.starts_with("{\"time\":\"old\"}\n"));
    CHECK(split_lines(text).size() == 1 + 4 * 500);
    check_lines_are_whole(text);
}

TEST_CASE("a new file is not for everybody to read") {
    const TempFolder folder;
    const std::string path = folder / "access.log";
    const mode_t before = ::umask(0);
    const auto writer = open_writer(path);
    ::umask(before);
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("a file that cannot be opened is an error that names it") {
    const TempFolder folder;
    const std::string path = folder / "no/such/folder.log";
    const auto writer = AccessLogWriter::open(logging_to(path));
    REQUIRE_FALSE(writer.has_value());
    CHECK(writer.error().message == "cannot open " + path + ": No such file or directory");
}

TEST_CASE("a stalled reader costs lines, which are counted and told of, and nobody waits") {
    const CapturedDescriptor events(STDERR_FILENO);
    const TempFolder folder;
    Fifo fifo(folder / "fifo");
    auto writer = open_writer(fifo.path());
    constexpr std::uint64_t kLines = 40'000;  // about 13 MB, thrice what is held
    {
        AccessLog log(writer.get(), kJson);
        write_lines(log, kLines);
        const std::uint64_t dropped = writer->dropped();
        CHECK(dropped > 0);
        CHECK(dropped < kLines);
        // While the reader still stalls.
        CHECK(
            comes_true([&] { return lines_reported(events.text(), "dropped, its reader is too slow") > 0; }));
        CHECK(writer->dropped() == dropped);

        REQUIRE(comes_true(
            [&] { return fifo.lines_read() + AccessLogBlock::kCapacity / 200 > kLines - dropped; }));
        // The reader is back, and so is the log.
        write_lines(log, 100);
        CHECK(writer->dropped() == dropped);
    }
    const std::uint64_t dropped = writer->dropped();
    REQUIRE(comes_true([&] { return fifo.lines_read() == kLines + 100 - dropped; }));
    writer.reset();
    check_lines_are_whole(fifo.read());
    CHECK(lines_reported(events.text(), "dropped, its reader is too slow") == dropped);
}

TEST_CASE("losses are reported once a second at most") {
    const CapturedDescriptor events(STDERR_FILENO);
    const TempFolder folder;
    const Fifo fifo(folder / "fifo");
    const auto start = std::chrono::steady_clock::now();
    const auto writer = open_writer(fifo.path());
    {
        AccessLog log(writer.get(), kJson);
        do {
            write_lines(log, 20'000);
        } while (split_lines(events.text()).size() < 3);
    }
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    CHECK(seconds > 2.0);
}

TEST_CASE("while the thread is behind, flush keeps what would fill no block") {
    const TempFolder folder;
    Fifo fifo(folder / "fifo");
    const auto writer = open_writer(fifo.path());
    AccessLog log(writer.get(), kJson);
    int lines = 0;
    for (; !writer->behind(); ++lines) {
        REQUIRE(lines < 100'000);
        write_lines(log, 1);
        log.flush();
    }
    // Thousands of flushes more, and all of their lines found room.
    for (int i = 0; i < 3000; ++i, ++lines) {
        write_lines(log, 1);
        log.flush();
    }
    CHECK(writer->dropped() == 0);
    REQUIRE(comes_true([&] {
        log.flush();
        return fifo.lines_read() == static_cast<std::uint64_t>(lines);
    }));
}

TEST_CASE("the end does not wait for a stalled reader") {
    const CapturedDescriptor events(STDERR_FILENO);
    const TempFolder folder;
    Fifo fifo(folder / "fifo");
    auto writer = open_writer(fifo.path());
    constexpr std::uint64_t kLines = 3000;
    {
        AccessLog log(writer.get(), kJson);
        write_lines(log, kLines);
    }
    const auto start = std::chrono::steady_clock::now();
    writer.reset();
    const auto taken = std::chrono::steady_clock::now() - start;
    CHECK(taken > std::chrono::milliseconds(900));
    CHECK(taken < std::chrono::seconds(5));
    const std::uint64_t arrived = fifo.lines_read();
    CHECK(arrived > 0);
    check_lines_are_whole(fifo.read());
    CHECK(arrived + lines_reported(events.text(), "dropped, its reader is too slow") == kLines);
}

TEST_CASE("whoever has it finish does not wait, and can ask whether it has") {
    const CapturedDescriptor events(STDERR_FILENO);
    const TempFolder folder;
    Fifo fifo(folder / "fifo");
    auto writer = open_writer(fifo.path());
    {
        AccessLog log(writer.get(), kJson);
        write_lines(log, 3000);
    }
    const auto start = std::chrono::steady_clock::now();
    writer->finish();
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(500));
    CHECK_FALSE(writer->finished());
    CHECK(comes_true([&] { return writer->finished(); }));
    CHECK(std::chrono::steady_clock::now() - start > std::chrono::milliseconds(900));
    CHECK(fifo.lines_read() > 0);
}

TEST_CASE("the end writes all that is queued") {
    const TempFolder folder;
    {
        const auto writer = open_writer(folder / "access.log");
        AccessLog log(writer.get(), kJson);
        write_lines(log, 5000);
    }
    CHECK(split_lines(contents_of(folder / "access.log")).size() == 5000);
}

TEST_CASE("reopen makes room for log rotation") {
    const CapturedDescriptor events(STDERR_FILENO);
    const TempFolder folder;
    const std::string path = folder / "access.log";
    {
        const auto writer = open_writer(path);
        AccessLog log(writer.get(), kJson);
        write_lines(log, 3);
        log.flush();
        REQUIRE(comes_true([&] { return split_lines(contents_of(path)).size() == 3; }));
        std::filesystem::rename(path, folder / "access.log.1");
        writer->reopen();
        REQUIRE(comes_true([&] { return std::filesystem::exists(path); }));
        write_lines(log, 2);
    }
    CHECK(split_lines(contents_of(folder / "access.log.1")).size() == 3);
    CHECK(split_lines(contents_of(path)).size() == 2);
    CHECK(events.text().find("info access log: opened " + path + " again") != std::string::npos);
}

TEST_CASE("when reopen fails the old file stays in use") {
    const CapturedDescriptor events(STDERR_FILENO);
    const TempFolder folder;
    std::filesystem::create_directory(folder / "logs");
    {
        const auto writer = open_writer(folder / "logs/access.log");
        AccessLog log(writer.get(), kJson);
        write_lines(log, 1);
        std::filesystem::rename(folder / "logs", folder / "gone");
        writer->reopen();
        REQUIRE(comes_true([&] {
            return events.text().find("No such file or directory; the old file stays in use") !=
                   std::string::npos;
        }));
        write_lines(log, 1);
    }
    CHECK(split_lines(contents_of(folder / "gone/access.log")).size() == 2);
}

TEST_CASE("lines that cannot be written are counted, with the cause") {
    const CapturedDescriptor events(STDERR_FILENO);
    const TempFolder folder;
    Fifo fifo(folder / "fifo");
    std::string access;
    std::string cause;
    SECTION("a full disk") {
        access = "/dev/full";
        cause = "No space left on device";
    }
    SECTION("a reader that went away") {
        access = fifo.path();
        cause = "Broken pipe";
    }
    {
        const auto writer = open_writer(access);
        fifo.close_reader();
        AccessLog log(writer.get(), kJson);
        write_lines(log, 700);
        log.flush();
        CHECK(comes_true([&] { return writer->dropped() == 700; }));
    }
    CHECK(lines_reported(events.text(), "lost: " + cause) == 700);
}

TEST_CASE("after a line that was cut short by a full disk, the next one starts a new line") {
    const CapturedDescriptor events(STDERR_FILENO);
    const TempFolder folder;
    const std::string path = folder / "access.log";
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    {
        const auto writer = open_writer(path);
        AccessLog log(writer.get(), kJson);
        const rlimit tight{1000, before.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &tight);
        write_lines(log, 10);
        log.flush();
        const bool lost = comes_true([&] { return writer->dropped() > 0; });
        ::setrlimit(RLIMIT_FSIZE, &before);
        REQUIRE(lost);
        write_lines(log, 1);
    }
    const std::string text = contents_of(path);
    const auto lines = split_lines(text);
    REQUIRE(lines.size() >= 3);
    CHECK_FALSE(lines[lines.size() - 2].ends_with("}"));
    CHECK(lines.back().starts_with("{\"time\""));
    CHECK(text.ends_with("}\n"));
    CHECK(lines_reported(events.text(), "lost: File too large") == 10 - (lines.size() - 2));
}

TEST_CASE("stdout's own flags are left alone, and it may stall too") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const int saved = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    ::dup2(ends[1], STDOUT_FILENO);
    auto writer = AccessLogWriter::open(logging_to("stdout"));
    const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
    std::uint64_t dropped = 0;
    if (writer.has_value()) {
        AccessLog log(writer->get(), kJson);
        write_lines(log, 30'000);
        dropped = (*writer)->dropped();
    }
    const CapturedDescriptor events(STDERR_FILENO);
    const auto start = std::chrono::steady_clock::now();
    if (writer.has_value()) writer->reset();
    const auto taken = std::chrono::steady_clock::now() - start;
    ::dup2(saved, STDOUT_FILENO);
    ::close(saved);
    ::close(ends[1]);
    const std::string text = drain(ends[0]);
    ::close(ends[0]);

    REQUIRE(writer.has_value());
    CHECK((flags & O_NONBLOCK) == 0);
    CHECK(dropped > 0);
    CHECK(taken < std::chrono::seconds(5));
    check_lines_are_whole(text);
}
