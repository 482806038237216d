#include "allocation_count.h"

#include "catch.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <string>

namespace {

thread_local std::uint64_t allocations = 0;

}  // namespace

namespace palier::test {

std::uint64_t allocations_of_this_thread() {
    return allocations;
}

}  // namespace palier::test

// All forms but the aligned ones, since a sanitizer's own would not call ours. Not inlined: gcc would take
// free() for the wrong partner of operator new.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
    if (void* memory = ::operator new(size, std::nothrow)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return ::operator new(size, std::nothrow);
}
[[gnu::noinline]] void* operator new[](std::size_t size) {
    return ::operator new(size);
}

[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}

TEST_CASE("the allocation count counts what containers and smart pointers allocate") {
    const std::uint64_t before = palier::test::allocations_of_this_thread();
    const auto number = std::make_unique<int>(1);
    const auto array = std::make_unique<int[]>(5);
    const std::string text(100, 'x');
    CHECK(palier::test::allocations_of_this_thread() == before + 3);
}
