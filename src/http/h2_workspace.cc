// What the sessions of a worker share.
#include "http/h2_core.h"

#include <random>

namespace palier::http {
namespace {

/// Memory that a burst has made grow beyond this is given back.
constexpr std::size_t kKeptBytes = std::size_t{1} << 20;
constexpr std::size_t kKeptStreams = 1024;

/// The next of a well-mixed sequence (splitmix64).
[[nodiscard]] std::uint64_t next_random(std::uint64_t& state) {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
}

}  // namespace

H2Workspace::Records::Records() : websocket_seed_(std::random_device{}()) {}

H2Workspace::Records::~Records() {
    for (const H2Stream* stream : free_streams_)
        delete stream;
}

H2Stream* H2Workspace::Records::take_stream() {
    if (free_streams_.empty()) return new H2Stream;
    H2Stream* stream = free_streams_.back();
    free_streams_.pop_back();
    return stream;
}

void H2Workspace::Records::give_stream(H2Stream* stream) {
    stream->~H2Stream();
    new (stream) H2Stream;
    if (free_streams_.size() >= kKeptStreams) {
        delete stream;
    } else {
        free_streams_.push_back(stream);
    }
}

void H2Workspace::Records::clear() {
    if (lines.bytes.size() > kKeptBytes) lines.bytes.release();
    lines.clear();
    blocks.clear();
    events.clear();
}

std::string_view H2Workspace::Records::next_websocket_key() {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 21; ++i) {
        if (i % 10 == 0) bits = next_random(websocket_seed_);
        websocket_key_[i] = kDigits[bits % 64];
        bits /= 64;
    }
    websocket_key_[21] = kDigits[bits % 4 * 16];  // 128 bits: the last digit has only two
    websocket_key_[22] = websocket_key_[23] = '=';
    return {websocket_key_, sizeof websocket_key_};
}

H2Workspace::H2Workspace() : records_(std::make_unique<Records>()) {}

H2Workspace::~H2Workspace() = default;

}  // namespace palier::http
