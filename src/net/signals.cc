#include "palier/net/signals.h"

#include <utility>

namespace palier::net {

struct Signals::Handle {
    uv_signal_t signal{};
    std::function<void()> handler;
};

Signals::~Signals() {
    for (Handle* handle : handles_) {
        static_cast<void>(loop_.uv());
        uv_close(reinterpret_cast<uv_handle_t*>(&handle->signal),
                 [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
    }
}

void Signals::on(int signal, std::function<void()> handler) {
    auto* handle = new Handle;  // freed by libuv's close callback
    handle->handler = std::move(handler);
    handle->signal.data = handle;
    uv_signal_init(loop_.uv(), &handle->signal);
    handles_.push_back(handle);
    uv_signal_start(
        &handle->signal,
        [](uv_signal_t* raised, int /*number*/) {
            if (uv_is_closing(reinterpret_cast<uv_handle_t*>(raised)) == 0) {
                static_cast<Handle*>(raised->data)->handler();
            }
        },
        signal);
}

}  // namespace palier::net
