// ClientHandshake: a client's connection before HTTP: the PROXY protocol header where the listener has one,
// then TLS. Ends by handing the transport to an h1_connection or an h2_connection, as ALPN says (RFC 7301).
// Thread: worker only. Owner: as every client connection.
#pragma once

#include "palier/proxy/client_connection.h"

namespace palier::proxy {

class ClientHandshake final : public ClientConnection {
  public:
    ClientHandshake(WorkerCore& core, std::shared_ptr<const ListenerFacts> listener,
                    const base::SocketAddress& peer);

    void wind_down() override {}
    void give_up_request() override { close(); }

  private:
    void on_readable() override;
    void on_drained() override {}
    void on_close(Termination) override {}
    void on_deadline(Waiting) override { close(); }

    void read_proxy_header();
    void begin_tls();
    void shake_hands();
    void begin_http();

    base::Buffer in_;    // an incomplete PROXY header, or what follows it
    bool proxy_header_;  // is still to come
    bool secured_ = false;
};

}  // namespace palier::proxy
