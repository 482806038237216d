// Certificates: what is outlined of one agrees with OpenSSL, names are clean, and nothing reads past the end.
// The first byte chooses between DER and a PEM file.
#include "palier/base/assert.h"
#include "tls/certificate_outline.h"
#include "tls/credentials.h"
#include "tls/host_name.h"
#include "tls/openssl.h"
#include "tls/pem.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/err.h>

using namespace palier::tls;

namespace {

/// In memory of exactly its size, so that sanitizers see a read past it.
class Exact {
  public:
    Exact(const std::uint8_t* data, std::size_t size) : bytes_(new char[size]), size_(size) {
        std::copy_n(data, size, bytes_.get());
    }
    [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

  private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_;
};

void check_names(std::string_view names) {
    while (!names.empty()) {
        const std::size_t end = names.find('\n');
        PALIER_ASSERT(end != std::string_view::npos);
        const std::string_view name = names.substr(0, end);
        PALIER_ASSERT(HostName(name, true).view() == name);
        names.remove_prefix(end + 1);
    }
}

void check_der(std::string_view der) {
    const auto outline = outline_certificate(der);
    if (!outline) return;
    check_names(outline->names);
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    const CertificatePtr certificate(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
    ERR_clear_error();
    if (certificate == nullptr) return;
    PALIER_ASSERT(outline->not_before == to_unix(X509_get0_notBefore(certificate.get())));
    PALIER_ASSERT(outline->not_after == to_unix(X509_get0_notAfter(certificate.get())));
}

void check_pem(std::string_view text) {
    const auto contents = read_pem(text);
    if (!contents) return;
    std::size_t leaf = 0;
    std::string der;
    const auto outline = outline_leaf(*contents, leaf, der);
    if (!outline) return;
    PALIER_ASSERT(leaf < contents->certificates.size());
    check_der(der);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Exact input(data + 1, size - 1);
    if (data[0] == 'P') {
        check_pem(input.view());
    } else {
        check_der(input.view());
    }
    return 0;
}
