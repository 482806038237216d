#include "palier/net/folder_watcher.h"

#include <cerrno>
#include <set>
#include <utility>

#include <sys/stat.h>

namespace palier::net {

struct FolderWatcher::Handle {
    uv_fs_event_t event{};
    FolderWatcher* watcher = nullptr;
    std::string folder;

    static void on_event(uv_fs_event_t* event, const char* name, int /*events*/, int /*status*/) {
        const auto* handle = static_cast<const Handle*>(event->data);
        if (uv_is_closing(reinterpret_cast<uv_handle_t*>(event)) != 0) return;
        // The callback may end the watch, and the handle's texts with it.
        FolderWatcher& watcher = *handle->watcher;
        const std::string folder = handle->folder;
        watcher.changed_(folder, name == nullptr ? "" : name);
    }
};

FolderWatcher::~FolderWatcher() {
    for (const auto& [folder, watched] : watched_)
        close(watched.handle);
}

std::vector<base::Error> FolderWatcher::watch(const std::vector<std::string>& folders) {
    const std::set<std::string_view> wanted(folders.begin(), folders.end());
    std::erase_if(watched_, [&](const auto& entry) {
        if (wanted.contains(entry.first)) return false;
        close(entry.second.handle);
        return true;
    });
    std::vector<base::Error> errors;
    for (const std::string_view folder : wanted) {
        if (auto watching = watch_one(std::string(folder)); !watching)
            errors.push_back(std::move(watching.error()));
    }
    return errors;
}

base::Result<void> FolderWatcher::watch_one(const std::string& folder) {
    struct stat about {};
    const int failed = ::stat(folder.c_str(), &about) == 0 ? 0 : errno;
    Watched& watched = watched_[folder];
    if (failed == 0 && watched.handle != nullptr && watched.device == about.st_dev &&
        watched.inode == about.st_ino) {
        return {};
    }
    close(std::exchange(watched.handle, nullptr));
    if (failed != 0) {
        watched_.erase(folder);
        return base::system_failure(folder, failed);
    }
    auto* handle = new Handle;  // freed by libuv's close callback
    handle->watcher = this;
    handle->folder = folder;
    handle->event.data = handle;
    uv_fs_event_init(loop_.uv(), &handle->event);
    const int error = uv_fs_event_start(&handle->event, &Handle::on_event, folder.c_str(), 0);
    if (error != 0) {
        close(handle);
        watched_.erase(folder);
        return base::system_failure(folder, -error);
    }
    watched = {handle, about.st_dev, about.st_ino};
    return {};
}

void FolderWatcher::close(Handle* handle) {
    if (handle == nullptr) return;
    static_cast<void>(loop_.uv());
    uv_close(reinterpret_cast<uv_handle_t*>(&handle->event),
             [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
}

}  // namespace palier::net
