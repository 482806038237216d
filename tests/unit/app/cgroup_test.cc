#include "app/cgroup.h"

#include "catch.h"
#include "config/load_fixture.h"

#include <filesystem>
#include <fstream>
#include <string>

using palier::app::Cgroup;
using palier::config::Folder;

namespace {

/// A machine's proc and sys.
struct Machine {
    void has(const std::string& file, const std::string& text) const {
        const std::filesystem::path path = folder.path(file);
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    [[nodiscard]] Cgroup cgroup() const { return Cgroup(folder.path("")); }

    Folder folder;
};

constexpr std::uint64_t kMiB = 1 << 20;

}  // namespace

TEST_CASE("cgroup v2: the tightest limit on the way up counts") {
    const Machine machine;
    machine.has("proc/self/cgroup", "0::/site.slice/palier.service\n");
    machine.has("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    machine.has("sys/fs/cgroup/site.slice/cpu.max", "150000 100000\n");
    machine.has("sys/fs/cgroup/site.slice/palier.service/cpu.max", "max 100000\n");
    machine.has("sys/fs/cgroup/site.slice/memory.max", "104857600\n");
    machine.has("sys/fs/cgroup/site.slice/memory.current", "94371840\n");
    machine.has("sys/fs/cgroup/site.slice/memory.stat",
                "anon 5\ninactive_file 10485760\nactive_file 1048576\n");
    machine.has("sys/fs/cgroup/site.slice/palier.service/memory.max", "83886080\n");
    machine.has("sys/fs/cgroup/site.slice/palier.service/memory.current", "10485760\n");
    machine.has("sys/fs/cgroup/site.slice/palier.service/memory.stat", "anon 5\n");
    CHECK(machine.cgroup().cpu_quota() == 1.5);
    const auto memory = machine.cgroup().memory();
    REQUIRE(memory);
    CHECK(memory->limit == 100 * kMiB);
    CHECK(memory->used == 79 * kMiB);

    SECTION("its own, where that is nearer") {
        machine.has("sys/fs/cgroup/site.slice/palier.service/memory.current", "73400320\n");
        CHECK(machine.cgroup().memory()->limit == 80 * kMiB);
    }
    SECTION("or where it would be slowed down before") {
        machine.has("sys/fs/cgroup/site.slice/palier.service/memory.high", "12582912\n");
        CHECK(machine.cgroup().memory()->limit == 12 * kMiB);
        machine.has("sys/fs/cgroup/site.slice/palier.service/memory.max", "max\n");
        CHECK(machine.cgroup().memory()->limit == 12 * kMiB);
        machine.has("sys/fs/cgroup/site.slice/palier.service/memory.high", "max\n");
        CHECK(machine.cgroup().memory()->limit == 100 * kMiB);
    }
}

TEST_CASE("cgroup v2 in a container: its own group is the top") {
    const Machine machine;
    machine.has("proc/self/cgroup", "0::/\n");
    machine.has("sys/fs/cgroup/cpu.max", "50000 100000\n");
    machine.has("sys/fs/cgroup/memory.max", "max\n");
    machine.has("sys/fs/cgroup/memory.current", "10485760\n");
    CHECK(machine.cgroup().cpu_quota() == 0.5);
    CHECK_FALSE(machine.cgroup().memory());
}

TEST_CASE("cgroup v1, also beside v2 and under a name that only the host knows") {
    const Machine machine;
    machine.has("proc/self/cgroup", "7:memory:/docker/0123\n4:cpu,cpuacct:/docker/0123\n0::/docker/0123\n");
    machine.has("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    machine.has("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    machine.has("sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n");
    machine.has("sys/fs/cgroup/memory/memory.usage_in_bytes", "20971520\n");
    machine.has("sys/fs/cgroup/memory/memory.stat",
                "inactive_file 1\ntotal_inactive_file 2097152\ntotal_active_file 1048576\n");
    CHECK(machine.cgroup().cpu_quota() == 2.0);
    const auto memory = machine.cgroup().memory();
    REQUIRE(memory);
    CHECK(memory->limit == 64 * kMiB);
    CHECK(memory->used == 17 * kMiB);

    SECTION("without limits") {
        machine.has("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
        machine.has("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        CHECK_FALSE(machine.cgroup().cpu_quota());
        CHECK_FALSE(machine.cgroup().memory());
    }
}

TEST_CASE("where there are no control groups, or nonsense, there is no limit") {
    const Machine machine;
    CHECK_FALSE(machine.cgroup().cpu_quota());
    CHECK_FALSE(machine.cgroup().memory());
    for (const char* text : {"", "0:", "0::", "nonsense\n::::\n", "0::/../../..\n", "3:memory\n"}) {
        machine.has("proc/self/cgroup", text);
        machine.has("sys/fs/cgroup/cpu.max", "0 0\n");
        machine.has("sys/fs/cgroup/memory.max", "-5\n");
        CHECK_FALSE(machine.cgroup().cpu_quota());
        CHECK_FALSE(machine.cgroup().memory());
    }
}
