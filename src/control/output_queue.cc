#include "control/output_queue.h"

#include "palier/net/descriptors.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

namespace palier::control {

bool OwnedDescriptors::add_copy(int descriptor) {
    const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return false;
    descriptors_.push_back(copy);
    return true;
}

OwnedDescriptors OwnedDescriptors::take(std::size_t count) {
    const auto end = descriptors_.begin() + static_cast<std::ptrdiff_t>(std::min(count, descriptors_.size()));
    OwnedDescriptors taken;
    taken.descriptors_.assign(descriptors_.begin(), end);
    descriptors_.erase(descriptors_.begin(), end);
    return taken;
}

void OwnedDescriptors::close() {
    for (const int descriptor : descriptors_)
        ::close(descriptor);
    descriptors_.clear();
}

void OutputQueue::add(std::string_view line, OwnedDescriptors descriptors) {
    std::uint64_t at = written_ + bytes_.size();
    const std::uint64_t end = at + line.size();
    while (!descriptors.empty() && at < end)
        passing_.push_back({.at = at++, .descriptors = descriptors.take(net::kMostDescriptorsAtOnce)});
    bytes_.append(line);
}

net::IoStatus OutputQueue::write_to(net::Socket& socket, std::size_t& written) {
    while (!bytes_.empty()) {
        const bool passes = !passing_.empty() && passing_.front().at == written_;
        const auto next = passing_.begin() + (passes ? 1 : 0);
        const std::string_view piece =
            next == passing_.end() ? bytes_.view() : bytes_.view().substr(0, next->at - written_);
        const net::IoResult result = passes ? net::send_with_descriptors(socket.descriptor(), piece,
                                                                         passing_.front().descriptors.get())
                                            : socket.write(piece);
        if (result.status != net::IoStatus::ok) return result.status;
        if (passes) passing_.pop_front();
        bytes_.consume(result.size);
        written_ += result.size;
        written += result.size;
    }
    bytes_.release();
    return net::IoStatus::ok;
}

void OutputQueue::clear() {
    written_ += bytes_.size();
    bytes_.release();
    passing_.clear();
}

}  // namespace palier::control
