// Transport: a connected socket, encrypted or not. What connections read and write through.
//
// Plain, it is its socket, at the price of one comparison a call. With TLS, records are unsealed from what
// one recv brought and sealed into one buffer that one send takes; what the socket does not take of that is
// kept, sealed, and goes before anything else. An idle transport owns no buffer.
//
// Thread: that of its loop. Owner: a connection. Ends: close() or the destructor.
#pragma once

#include "palier/base/buffer.h"
#include "palier/net/socket.h"

#include <memory>
#include <string>
#include <string_view>

namespace palier::tls {

class ServerContext;
class ClientContext;

/// Scratch memory for records that all transports of one worker share; empty between calls.
class Workspace {
  public:
    explicit Workspace(base::BufferCache& cache);
    ~Workspace();
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

  private:
    friend class Transport;
    struct Records;
    std::unique_ptr<Records> records_;
};

enum class Handshake : std::uint8_t {
    done,
    again,       // an event will tell
    plain_http,  // the client speaks HTTP without TLS: the transport is plain again, what was read is gone
    failed,      // the alert was sent; why() tells
};

class Transport {
  public:
    Transport();
    ~Transport();
    Transport(Transport&& other) noexcept;
    Transport& operator=(Transport&&) = delete;

    [[nodiscard]] net::Socket& socket() { return socket_; }
    [[nodiscard]] bool encrypted() const { return session_ != nullptr; }

    /// The TCP connection is there: from now on TLS is spoken, beginning with the bytes `already_read`.
    /// False: no memory.
    [[nodiscard]] bool start_server(const ServerContext& context, Workspace& workspace,
                                    std::string_view already_read = {});
    [[nodiscard]] bool start_client(const ClientContext& context, Workspace& workspace);
    /// Goes on with the handshake; to be called at each event until it is not `again`.
    [[nodiscard]] Handshake handshake();
    /// Why the handshake failed, in words for the log.
    [[nodiscard]] const std::string& why() const;

    // After the handshake, while encrypted.

    [[nodiscard]] bool speaks_http2() const;
    /// The name that the client asked for; "" for none.
    [[nodiscard]] std::string_view server_name() const;
    /// The verified client certificate's subject (RFC 4514); "" for none.
    [[nodiscard]] std::string client_subject() const;
    [[nodiscard]] std::string_view version() const;  // "TLSv1.3"
    /// An earlier session was resumed.
    [[nodiscard]] bool resumed() const;

    // As net::Socket has them.

    void note(std::uint32_t ready) { socket_.note(ready); }
    [[nodiscard]] bool open() const { return socket_.open(); }
    [[nodiscard]] bool readable() const { return socket_.readable() || (session_ && holds_input()); }
    /// closed: the peer said that it is done (close_notify); a bare end of a TLS connection is `failed` with
    /// error 0, for it may be an attacker's (RFC 8446 section 6.1).
    [[nodiscard]] net::IoResult read(char* data, std::size_t size) {
        return session_ ? read_records(data, size) : socket_.read(data, size);
    }
    /// TLS takes all of `bytes` or, while sealed() holds, nothing. `last`: no more will be written, so that close_notify may
    /// go with them.
    [[nodiscard]] net::IoResult write(std::string_view bytes, bool last = false) {
        return session_ ? write_records(bytes, last) : socket_.write(bytes);
    }
    /// Records that the socket did not take yet.
    [[nodiscard]] bool sealed() const { return session_ && holds_output(); }
    /// Sends them; ok: none is left. would_block: `size` of them went all the same.
    [[nodiscard]] net::IoResult flush();

    /// Open, and with nothing to read; TLS takes in what its peer says about the session meanwhile.
    [[nodiscard]] bool quiet() { return session_ ? quiet_records() : socket_.quiet(); }
    /// Says that no more will come: close_notify, then FIN.
    void shutdown_write();
    /// With close_notify, if the peer can still take it.
    void close();
    void close_with_reset();

  private:
    struct Session;

    [[nodiscard]] bool holds_input() const;
    [[nodiscard]] bool holds_output() const;
    [[nodiscard]] net::IoResult read_records(char* data, std::size_t size);
    [[nodiscard]] net::IoResult write_records(std::string_view bytes, bool last);
    [[nodiscard]] bool quiet_records();

    net::Socket socket_;
    std::unique_ptr<Session> session_;
};

}  // namespace palier::tls
