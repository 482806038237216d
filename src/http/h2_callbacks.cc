// nghttp2's callbacks: each is a line that finds its Core. Exceptions must not cross nghttp2, and nothing
// here throws but for want of memory, which ends the process anyway.
#include "http/h2_core.h"

#include <memory>
#include <new>

namespace palier::http {

struct H2Session::Core::Callbacks {
    static Core& core(void* user_data) { return *static_cast<Core*>(user_data); }

    static std::string_view text(nghttp2_rcbuf* buffer) {
        const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
        return {reinterpret_cast<const char*>(bytes.base), bytes.len};
    }

    static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* frame, void* user_data) {
        return core(user_data).begin_frame(*frame);
    }

    static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
        return core(user_data).begin_block(*frame);
    }

    static int on_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                         std::uint8_t, void* user_data) {
        return core(user_data).add_field(text(name), text(value));
    }

    /// Fields that nghttp2 would merely leave out make the request malformed (RFC 9113 section 8.2.1).
    static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*,
                                 std::uint8_t, void*) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }

    static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
        core(user_data).frame_received(*frame);
        return 0;
    }

    static int on_invalid_frame_recv(nghttp2_session*, const nghttp2_frame* frame, int, void* user_data) {
        core(user_data).invalid_frame(*frame);
        return 0;
    }

    static int on_data_chunk_recv(nghttp2_session*, std::uint8_t, std::int32_t stream,
                                  const std::uint8_t* data, std::size_t size, void* user_data) {
        core(user_data).add_data(stream, {reinterpret_cast<const char*>(data), size});
        return 0;
    }

    static int on_stream_close(nghttp2_session*, std::int32_t stream, std::uint32_t error, void* user_data) {
        core(user_data).close(stream, error);
        return 0;
    }

    static int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
        core(user_data).frame_sent(*frame);
        return 0;
    }

    static int on_frame_not_send(nghttp2_session*, const nghttp2_frame* frame, int, void* user_data) {
        core(user_data).frame_not_sent(*frame);
        return 0;
    }

    static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_head, std::size_t size,
                         nghttp2_data_source* source, void* user_data) {
        return core(user_data).send_data(*static_cast<H2Stream*>(source->ptr), frame_head, size);
    }

    /// PRIORITY_UPDATE is counted when it begins, and has no other effect.
    static int unpack_extension(nghttp2_session*, void**, const nghttp2_frame_hd*, void*) {
        return NGHTTP2_ERR_CANCEL;
    }

    static nghttp2_session_callbacks* make() {
        nghttp2_session_callbacks* all = nullptr;
        if (nghttp2_session_callbacks_new(&all) != 0) throw std::bad_alloc();
        nghttp2_session_callbacks_set_on_begin_frame_callback(all, on_begin_frame);
        nghttp2_session_callbacks_set_on_begin_headers_callback(all, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback2(all, on_header);
        nghttp2_session_callbacks_set_on_invalid_header_callback2(all, on_invalid_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(all, on_frame_recv);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(all, on_invalid_frame_recv);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, on_data_chunk_recv);
        nghttp2_session_callbacks_set_on_stream_close_callback(all, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(all, on_frame_send);
        nghttp2_session_callbacks_set_on_frame_not_send_callback(all, on_frame_not_send);
        nghttp2_session_callbacks_set_send_data_callback(all, send_data);
        nghttp2_session_callbacks_set_unpack_extension_callback(all, unpack_extension);
        return all;
    }
};

const nghttp2_session_callbacks* H2Session::Core::callbacks() {
    static const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)> kAll(
        Callbacks::make(), &nghttp2_session_callbacks_del);
    return kAll.get();
}

ssize_t H2Session::Core::read_source_callback(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t size,
                                              std::uint32_t* flags, nghttp2_data_source* source,
                                              void* user_data) {
    return Callbacks::core(user_data).read_source(*static_cast<H2Stream*>(source->ptr), size, *flags);
}

}  // namespace palier::http
