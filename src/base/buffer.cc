#include "palier/base/buffer.h"

#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

namespace palier::base {
namespace {

/// The size class of a block of at least `size` bytes; 0 is BufferCache::kSmallest.
std::size_t class_of(std::size_t size) {
    const std::size_t rounded = std::bit_ceil(size < BufferCache::kSmallest ? BufferCache::kSmallest : size);
    return static_cast<std::size_t>(std::countr_zero(rounded / BufferCache::kSmallest));
}

char* allocate(std::size_t size) {
    auto* memory = static_cast<char*>(std::malloc(size));
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

}  // namespace

BufferCache::~BufferCache() {
    drop_spares();
}

void BufferCache::drop_spares() {
    for (auto& blocks : free_) {
        for (char* block : blocks)
            std::free(block);
        blocks.clear();
    }
    kept_ = 0;
}

char* BufferCache::take(std::size_t& size) {
    const std::size_t size_class = class_of(size);
    size = kSmallest << size_class;
    if (size_class < kClasses && !free_[size_class].empty()) {
        char* block = free_[size_class].back();
        free_[size_class].pop_back();
        kept_ -= size;
        return block;
    }
    return allocate(size);
}

void BufferCache::give(char* block, std::size_t capacity) {
    const std::size_t size_class = class_of(capacity);
    if (size_class >= kClasses || kept_ + capacity > kKeptBytes) {
        std::free(block);
        return;
    }
    free_[size_class].push_back(block);
    kept_ += capacity;
}

void Buffer::release() {
    if (memory_ != nullptr) {
        if (cache_ != nullptr) {
            cache_->give(memory_, capacity_);
        } else {
            std::free(memory_);
        }
    }
    memory_ = nullptr;
    capacity_ = begin_ = end_ = 0;
}

void Buffer::grow(std::size_t size) {
    const std::size_t used = this->size();
    if (begin_ > 0 && capacity_ - used >= size && begin_ >= used) {
        std::memcpy(memory_, memory_ + begin_, used);
        begin_ = 0;
        end_ = used;
        return;
    }
    std::size_t capacity = used + size;
    char* memory = nullptr;
    if (cache_ != nullptr) {
        memory = cache_->take(capacity);
    } else {
        capacity = std::bit_ceil(capacity < BufferCache::kSmallest ? BufferCache::kSmallest : capacity);
        memory = allocate(capacity);
    }
    if (used > 0) std::memcpy(memory, memory_ + begin_, used);
    release();
    memory_ = memory;
    capacity_ = capacity;
    end_ = used;
}

void Buffer::swap(Buffer& other) noexcept {
    std::swap(cache_, other.cache_);
    std::swap(memory_, other.memory_);
    std::swap(capacity_, other.capacity_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
}

}  // namespace palier::base
