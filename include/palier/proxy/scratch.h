// Scratch: the one buffer into which a worker's sockets are read. What is read is handed on before the next
// read, so connections own memory only for bytes that could not be. The room around the read area lets a head
// or a chunk size be put in front of body bytes, and the end of a chunk behind them, so that one send takes
// it all. Thread: worker only. Owner: the worker.
#pragma once

#include <cstddef>
#include <memory>

namespace palier::proxy {

class Scratch {
  public:
    static constexpr std::size_t kHeadroom = 16 * 1024;
    static constexpr std::size_t kCapacity = 256 * 1024;  // of the read area
    static constexpr std::size_t kTailroom = 64;

    Scratch() : memory_(new char[kHeadroom + kCapacity + kTailroom]) {}

    /// The start of the read area: kHeadroom bytes before it may be written, kCapacity from it may be read
    /// into, and kTailroom behind that are free too.
    [[nodiscard]] char* data() { return memory_.get() + kHeadroom; }

  private:
    std::unique_ptr<char[]> memory_;
};

}  // namespace palier::proxy
