#include "app/limits.h"

#include <algorithm>

#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>

namespace palier::app {
namespace {

constexpr std::size_t kReservedDescriptors = 64;  // logs, listening sockets, epoll sets, the DNS

constexpr int kLargeBlock = 64 * 1024;  // bytes: the largest that base::BufferCache keeps

}  // namespace

unsigned usable_cpus() {
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&cpus)));
}

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        rlimit raised = limit;
        raised.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return static_cast<std::size_t>(limit.rlim_cur);
}

void return_large_blocks() {
    ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);
}

std::size_t clients_within(std::size_t descriptors) {
    return descriptors > 2 * kReservedDescriptors ? (descriptors - kReservedDescriptors) / 2
                                                  : kReservedDescriptors;
}

}  // namespace palier::app
