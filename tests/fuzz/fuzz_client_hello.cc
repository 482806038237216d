// Client hellos: whatever a client sends first, the handshake goes on, fails or waits, and a name that is
// read out of it is one. The input is both a server_name extension and what comes over the wire.
#include "palier/base/assert.h"
#include "palier/tls/certificate_store.h"
#include "palier/tls/self_signed.h"
#include "palier/tls/server_context.h"
#include "palier/tls/ticket_keys.h"
#include "tls/host_name.h"
#include "tls/openssl.h"
#include "tls/server_name.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

using namespace palier::tls;

namespace {

std::shared_ptr<const ServerContext> make_context() {
    const std::array<std::string, 2> names{"a.example", "*.b.example"};
    const auto pem = self_signed_pem(names);
    PALIER_ASSERT(pem.has_value());
    std::string file = "/tmp/palier-fuzz-XXXXXX";
    const int descriptor = ::mkstemp(file.data());
    PALIER_ASSERT(descriptor >= 0);
    PALIER_ASSERT(::write(descriptor, pem->data(), pem->size()) == static_cast<ssize_t>(pem->size()));
    ::close(descriptor);
    auto store = std::make_shared<CertificateStore>(std::vector<std::string>{file});
    static_cast<void>(store->refresh());
    ::unlink(file.c_str());
    PALIER_ASSERT(store->size() == 1);
    palier::config::ListenerTlsConfig config;
    config.default_name = "a.example";
    auto context = ServerContext::make(config, "fuzz", store, *TicketKeys::random());
    PALIER_ASSERT(context.has_value());
    return *context;
}

void check_extension(const std::uint8_t* data, std::size_t size) {
    const std::unique_ptr<char[]> exact(new char[size]);
    std::copy_n(data, size, exact.get());
    const auto name = read_server_name({exact.get(), size});
    if (!name) return;
    const HostName host(*name);
    PALIER_ASSERT(host.empty() || HostName(host.view()).view() == host.view());
    PALIER_ASSERT(host.wildcard().empty() || host.wildcard().view().starts_with("*."));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto context = make_context();
    check_extension(data, size);
    const SslPtr ssl(context->start());
    PALIER_ASSERT(ssl != nullptr);
    BIO* in = BIO_new_mem_buf(data, static_cast<int>(size));
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl.get(), in, BIO_new(BIO_s_mem()));
    const int result = SSL_do_handshake(ssl.get());
    PALIER_ASSERT(result != 1);  // a client that does not listen cannot finish
    ERR_clear_error();
    return 0;
}
