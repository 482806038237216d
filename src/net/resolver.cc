#include "palier/net/resolver.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include <ares.h>
#include <netdb.h>

namespace palier::net {
namespace {

constexpr std::uint64_t kTimeoutStepMs = 200;  // how often c-ares may look at its own deadlines
constexpr int kTryTimeoutMs = 2'000;
constexpr int kTries = 3;

Resolution to_resolution(const ares_addrinfo& info) {
    Resolution resolution;
    std::uint32_t ttl = std::numeric_limits<std::uint32_t>::max();
    for (const ares_addrinfo_node* node = info.nodes; node != nullptr; node = node->ai_next) {
        if (node->ai_family == AF_INET) {
            resolution.addresses.emplace_back(reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr);
        } else if (node->ai_family == AF_INET6) {
            resolution.addresses.emplace_back(
                reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr);
        }
        ttl = std::min(ttl, static_cast<std::uint32_t>(std::max(node->ai_ttl, 0)));
    }
    resolution.ttl_s = resolution.addresses.empty() ? 0 : ttl;
    auto& addresses = resolution.addresses;
    std::ranges::sort(addresses, {}, [](const base::IpAddress& ip) { return ip.to_string(); });
    const auto twice = std::ranges::unique(addresses);
    addresses.erase(twice.begin(), twice.end());
    return resolution;
}

}  // namespace

/// One of c-ares' sockets.
class Resolver::Descriptor final : public Deferred, public Watcher {
  public:
    Descriptor(Resolver& resolver, int descriptor) : resolver_(&resolver), descriptor_(descriptor) {}

    void on_events(std::uint32_t ready) override {
        if (resolver_ == nullptr) return;
        resolver_->process((ready & kReadable) != 0 ? descriptor_ : ARES_SOCKET_BAD,
                           (ready & kWritable) != 0 ? descriptor_ : ARES_SOCKET_BAD);
    }
    void forget() { resolver_ = nullptr; }

  private:
    Resolver* resolver_;
    int descriptor_;
};

struct Resolver::Query {
    Resolver* resolver;
    std::string host;
    Answer answer;
};

Resolver::Resolver(Loop& loop) : loop_(loop), timer_(base::Timer::calling<&Resolver::on_timer>(this)) {
    ares_library_init(ARES_LIB_INIT_ALL);
    ares_options options{};
    options.timeout = kTryTimeoutMs;
    options.tries = kTries;
    options.sock_state_cb_data = this;
    options.sock_state_cb = [](void* self, ares_socket_t descriptor, int readable, int writable) {
        static_cast<Resolver*>(self)->watch(descriptor, readable != 0, writable != 0);
    };
    const int flags = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (const int error = ares_init_options(&channel_, &options, flags); error != ARES_SUCCESS) {
        throw std::runtime_error(std::string("c-ares: ") + ares_strerror(error));
    }
}

Resolver::~Resolver() {
    ares_destroy(channel_);
    ares_library_cleanup();
}

void Resolver::resolve(const std::string& host, Answer answer) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    auto* query = new Query{this, host, std::move(answer)};  // freed by the callback, which always comes
    ++pending_;
    ares_getaddrinfo(
        channel_, host.c_str(), nullptr, &hints,
        [](void* argument, int status, int /*timeouts*/, ares_addrinfo* info) {
            const std::unique_ptr<Query> done(static_cast<Query*>(argument));
            --done->resolver->pending_;
            if (status == ARES_EDESTRUCTION) return;
            base::Result<Resolution> result = base::failure(done->host + ": " + ares_strerror(status));
            if (status == ARES_SUCCESS) result = to_resolution(*info);
            if (info != nullptr) ares_freeaddrinfo(info);
            if (result && result->addresses.empty()) result = base::failure(done->host + ": has no address");
            done->resolver->answered_.push_back({std::move(done->answer), std::move(result)});
            done->resolver->loop_.again(*done->resolver);
        },
        query);
    arm();
}

void Resolver::on_again() {
    for (Answered& answered : std::exchange(answered_, {}))
        answered.answer(std::move(answered.result));
}

void Resolver::arm() {
    if (pending_ > 0 && !timer_.armed()) loop_.timers().arm(timer_, loop_.now_ms() + kTimeoutStepMs);
}

void Resolver::on_timer() {
    process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void Resolver::process(int readable, int writable) {
    ares_process_fd(channel_, readable, writable);
    arm();
}

void Resolver::watch(int descriptor, bool readable, bool writable) {
    auto& watcher = descriptors_[descriptor];
    if (!readable && !writable) {
        loop_.unwatch(descriptor);
        if (watcher) {
            watcher->forget();
            loop_.defer_delete(std::move(watcher));
        }
        descriptors_.erase(descriptor);
        return;
    }
    if (!watcher) watcher = std::make_unique<Descriptor>(*this, descriptor);
    static_cast<void>(loop_.watch_level(descriptor, *watcher, readable, writable));
}

}  // namespace palier::net
