// Buffer: contiguous growing bytes, consumed from the front. Memory comes from malloc in powers of two,
// through a BufferCache where there is one, so that steady traffic allocates nothing; an empty released
// buffer owns none. Thread: worker only. Owner: a connection or an exchange.
#pragma once

#include "palier/base/assert.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

namespace palier::base {

/// Keeps freed blocks of common sizes for the next buffer. One per worker; outlives its buffers.
class BufferCache {
  public:
    static constexpr std::size_t kSmallest = 1024;

    BufferCache() = default;
    ~BufferCache();
    BufferCache(const BufferCache&) = delete;
    BufferCache& operator=(const BufferCache&) = delete;

    /// A block of at least `size` bytes; `size` becomes its real capacity.
    [[nodiscard]] char* take(std::size_t& size);
    void give(char* block, std::size_t capacity);
    /// Frees what it keeps.
    void drop_spares();

  private:
    static constexpr std::size_t kClasses = 9;  // 1 KiB to 256 KiB; larger blocks go back at once
    static constexpr std::size_t kKeptBytes = 4 * 1024 * 1024;  // per cache

    std::array<std::vector<char*>, kClasses> free_;
    std::size_t kept_ = 0;
};

class Buffer {
  public:
    /// `cache` may be null: plain malloc and free then.
    explicit Buffer(BufferCache* cache = nullptr) : cache_(cache) {}
    ~Buffer() { release(); }
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        swap(other);
        return *this;
    }

    [[nodiscard]] bool empty() const { return begin_ == end_; }
    [[nodiscard]] std::size_t size() const { return end_ - begin_; }
    [[nodiscard]] const char* data() const { return memory_ + begin_; }
    [[nodiscard]] std::string_view view() const { return {memory_ + begin_, end_ - begin_}; }

    /// Room for `size` more bytes at the end; pointers into the buffer die. Write there, then commit().
    [[nodiscard]] char* reserve(std::size_t size) {
        if (capacity_ - end_ < size) grow(size);
        return memory_ + end_;
    }
    /// Bytes that fit at the end without growing.
    [[nodiscard]] std::size_t room() const { return capacity_ - end_; }
    void commit(std::size_t size) { end_ += size; }

    void append(std::string_view bytes) {
        if (bytes.empty()) return;
        std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
        end_ += bytes.size();
    }
    void append(char byte) {
        *reserve(1) = byte;
        ++end_;
    }

    /// Drops `size` bytes from the front.
    void consume(std::size_t size) {
        PALIER_ASSERT(size <= this->size());
        begin_ += size;
        if (begin_ == end_) begin_ = end_ = 0;
    }
    /// Forgets the bytes, keeps the memory.
    void clear() { begin_ = end_ = 0; }
    /// Forgets the bytes and gives the memory back.
    void release();

  private:
    void grow(std::size_t size);
    void swap(Buffer& other) noexcept;

    BufferCache* cache_ = nullptr;
    char* memory_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace palier::base
