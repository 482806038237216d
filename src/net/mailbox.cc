#include "palier/net/mailbox.h"

#include <memory>
#include <utility>

namespace palier::net {

struct Mailbox::Wake {
    uv_async_t async{};
    Mailbox* mailbox = nullptr;
};

Mailbox::Mailbox(Loop& loop) : loop_(loop), wake_(new Wake) {
    wake_->mailbox = this;
    wake_->async.data = wake_;
    const int error = uv_async_init(loop_.uv(), &wake_->async, [](uv_async_t* async) {
        const auto* wake = static_cast<Wake*>(async->data);
        if (uv_is_closing(reinterpret_cast<uv_handle_t*>(async)) == 0) wake->mailbox->drain();
    });
    PALIER_ASSERT(error == 0);
}

Mailbox::~Mailbox() {
    close();
}

void Mailbox::post(Message message) {
    const std::lock_guard lock(mutex_);
    if (wake_ == nullptr) return;
    messages_.push_back(std::move(message));
    uv_async_send(&wake_->async);
}

void Mailbox::close() {
    Wake* wake = nullptr;
    {
        const std::lock_guard lock(mutex_);
        wake = std::exchange(wake_, nullptr);
        messages_.clear();
    }
    if (wake == nullptr) return;
    static_cast<void>(loop_.uv());
    uv_close(reinterpret_cast<uv_handle_t*>(&wake->async),
             [](uv_handle_t* handle) { delete static_cast<Wake*>(handle->data); });
}

void Mailbox::drain() {
    std::vector<Message> messages;
    {
        const std::lock_guard lock(mutex_);
        messages.swap(messages_);
    }
    for (Message& message : messages)
        message();
}

}  // namespace palier::net
