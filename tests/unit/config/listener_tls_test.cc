#include "config/load_fixture.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace palier::config {
namespace {

/// Files to be named: the loader looks whether they are there, not into them.
class Files : public Folder {
  public:
    Files() {
        for (const char* name : {"site.pem", "ca.pem", "keys", "certs/a.pem"}) {
            write(name, "x");
        }
    }

    [[nodiscard]] Loaded load(const std::string& listener, const std::string& tls) const {
        return load_text(fmt::format("[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\n{}"
                                     "[listener.tls]\n{}{}",
                                     listener, tls, kRest),
                         "t", path());
    }
    /// With usable certificates in line 5; `tls` begins in line 6.
    [[nodiscard]] Strings mistakes(const std::string& tls) const {
        return to_strings(load("", "certificates = \"site.pem\"\n" + tls));
    }
    [[nodiscard]] ListenerConfig listener(const std::string& tls) const {
        const auto loaded = load("", "certificates = \"site.pem\"\n" + tls);
        CHECK(to_strings(loaded) == Strings{});
        REQUIRE(loaded);
        return loaded->listeners[0];
    }
};

ListenerTlsConfig nothing_but(const std::string& certificates) {
    ListenerTlsConfig tls;
    tls.certificates = {certificates};
    return tls;
}

TEST_CASE("every key of a listener's TLS is read") {
    const Files files;
    const auto loaded = files.load("hsts = { max_age = \"1h\" }\n", R"(
certificates = ["certs", "site.pem"]
default = "WWW.example.com"
min_version = "1.3"
alpn = ["http/1.1"]
ciphers = "ECDHE+AESGCM:!SHA1"
ciphersuites = "TLS_AES_128_GCM_SHA256"
groups = "X25519:P-256"
ticket_keys = "keys"
client_ca = "ca.pem"
client_auth = "optional"
)");
    CHECK(to_strings(loaded) == Strings{});
    REQUIRE(loaded);
    const ListenerConfig& listener = loaded->listeners[0];
    CHECK_FALSE(listener.http2);
    CHECK(listener.hsts == "max-age=3600");
    CHECK(listener.tls == ListenerTlsConfig{.certificates = {files.path("certs"), files.path("site.pem")},
                                            .default_name = "www.example.com",
                                            .min_version = TlsVersion::tls_1_3,
                                            .http2 = false,
                                            .http1 = true,
                                            .ciphers = "ECDHE+AESGCM:!SHA1",
                                            .ciphersuites = "TLS_AES_128_GCM_SHA256",
                                            .groups = "X25519:P-256",
                                            .ticket_keys = files.path("keys"),
                                            .client_ca = files.path("ca.pem"),
                                            .client_auth = ClientAuth::optional});
}

TEST_CASE("certificates are all that a listener's TLS needs") {
    const Files files;
    const ListenerConfig listener = files.listener("");
    CHECK(listener.hsts.empty());
    CHECK(listener.tls == nothing_but(files.path("site.pem")));
    CHECK(to_strings(files.load("", "")) == Strings{"t:4:1: \"listener.tls.certificates\" is missing"});
    CHECK(to_strings(files.load("", "certificates = []\n")) ==
          Strings{"t:5:16: \"listener.tls.certificates\" must not be empty"});
    CHECK(to_strings(files.load("", "certificates = \"\"\n")) ==
          Strings{"t:5:16: \"listener.tls.certificates\" must hold paths"});
    CHECK_FALSE(config_of("").listeners[0].tls);
}

TEST_CASE("empty strings stand for the defaults of a listener's TLS") {
    const Files files;
    CHECK(files
              .listener("default = \"\"\nciphers = \"\"\nciphersuites = \"\"\ngroups = \"\"\n"
                        "ticket_keys = \"\"\nclient_ca = \"\"\nclient_auth = \"off\"\n")
              .tls == nothing_but(files.path("site.pem")));
}

TEST_CASE("certificates must be there, each once") {
    const Files files;
    REQUIRE(::mkfifo(files.path("pipe").c_str(), 0600) == 0);
    CHECK(to_strings(files.load("", "certificates = [\"certs\", \"nowhere\", \"pipe\", \"certs\"]\n")) ==
          Strings{
              fmt::format("t:5:26: \"{}\" cannot be used: No such file or directory", files.path("nowhere")),
              fmt::format("t:5:37: \"{}\" cannot be used: it is neither a regular file nor a directory",
                          files.path("pipe")),
              "t:5:45: \"certs\" is named twice"});
}

TEST_CASE("other files of a listener's TLS must be files") {
    const Files files;
    CHECK(files.mistakes("ticket_keys = \"nowhere\"\n") ==
          Strings{fmt::format("t:6:15: \"{}\" cannot be used: No such file or directory",
                              files.path("nowhere"))});
    CHECK(files.mistakes("client_ca = \"certs\"\nclient_auth = \"required\"\n") ==
          Strings{fmt::format("t:6:13: \"{}\" cannot be used: it is a directory, not a file",
                              files.path("certs"))});
}

TEST_CASE("the default certificate is named by a host, not a pattern") {
    const Files files;
    CHECK(files.listener("default = \"192.0.2.1\"\n").tls->default_name == "192.0.2.1");
    for (const char* name : {"*.example.com", "www.example.com:443", "a b"}) {
        CHECK(files.mistakes(fmt::format("default = \"{}\"\n", name)) ==
              Strings{fmt::format(
                  "t:6:11: \"{}\" is not a host name such as \"www.example.com\", without a port", name)});
    }
}

TEST_CASE("TLS versions before 1.2 are not offered") {
    CHECK(Files()
              .mistakes("min_version = \"1.1\"\n")
              .front()
              .starts_with("t:6:15: \"listener.tls.min_version\" must be \"1.2\" or \"1.3\", not \"1.1\""));
    CHECK(Files().mistakes("min_version = 1.3\n") ==
          Strings{"t:6:15: \"listener.tls.min_version\" must be a string, not a decimal fraction"});
}

TEST_CASE("alpn names one protocol at least, each once") {
    const Files files;
    const ListenerConfig both = files.listener("alpn = [\"http/1.1\", \"h2\"]\n");
    CHECK((both.tls->http2 && both.tls->http1));
    const ListenerConfig one = files.listener("alpn = \"h2\"\n");
    CHECK((one.tls->http2 && !one.tls->http1));
    CHECK(files.mistakes("alpn = []\n") == Strings{"t:6:8: \"listener.tls.alpn\" must not be empty"});
    CHECK(files.mistakes("alpn = [\"h2\", \"http1.1\", \"h2\"]\n") ==
          Strings{"t:6:15: \"listener.tls.alpn\" must hold \"h2\" or \"http/1.1\", not \"http1.1\"; did you "
                  "mean \"http/1.1\"?",
                  "t:6:26: \"h2\" is named twice"});
}

TEST_CASE("lists for OpenSSL are words with colons") {
    CHECK(
        Files().mistakes("ciphers = \"A, B\"\nciphersuites = \"é\"\ngroups = \"X25519\\n\"\n") ==
        Strings{"t:6:11: \"listener.tls.ciphers\" must be names with \":\" between them, without spaces",
                "t:7:16: \"listener.tls.ciphersuites\" must be names with \":\" between them, without spaces",
                "t:8:10: \"listener.tls.groups\" must be names with \":\" between them, without spaces"});
}

TEST_CASE("clients' certificates need somebody to verify them, and the other way round") {
    const Files files;
    const std::string unused =
        "\"listener.tls.client_ca\" is used only with client_auth = \"optional\" or \"required\"";
    CHECK(files.mistakes("client_auth = \"required\"\n") ==
          Strings{"t:6:1: \"required\" needs \"listener.tls.client_ca\", the file against which clients' "
                  "certificates are verified"});
    CHECK(files.mistakes("client_auth = \"optional\"\nclient_ca = \"\"\n").size() == 1);
    CHECK(files.mistakes("client_ca = \"ca.pem\"\n") == Strings{"t:6:1: " + unused});
    CHECK(files.mistakes("client_ca = \"ca.pem\"\nclient_auth = \"off\"\n") == Strings{"t:6:1: " + unused});
}

TEST_CASE("one slip with clients' certificates is one mistake") {
    const Files files;
    CHECK(files.mistakes("client_ca = \"ca.pem\"\nclient_auth = \"requierd\"\n").size() == 1);
    CHECK(files.mistakes("client_ca = \"ca.pem\"\nclient_auht = \"required\"\n") ==
          Strings{"t:7:1: unknown key \"listener.tls.client_auht\"; did you mean \"client_auth\"?"});
    CHECK(files.mistakes("clinet_ca = \"ca.pem\"\nclient_auth = \"required\"\n") ==
          Strings{"t:6:1: unknown key \"listener.tls.clinet_ca\"; did you mean \"client_ca\"?"});
    CHECK(files.mistakes("client_ca = \"nowhere\"\nclient_auth = \"required\"\n").size() == 1);
}

TEST_CASE("prior knowledge of HTTP/2 is for listeners without TLS") {
    CHECK(config_of("[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\nhttp2 = true\n")
              .listeners[0]
              .http2);
    const std::string told =
        "t:4:1: \"listener.http2\" is for listeners without TLS; with it, \"h2\" in \"listener.tls.alpn\" "
        "offers HTTP/2";
    for (const char* value : {"true", "false"}) {
        CHECK(to_strings(Files().load(fmt::format("http2 = {}\n", value), "certificates = \"site.pem\"\n")) ==
              Strings{told});
    }
}

TEST_CASE("a listener's keys below its TLS are told where they belong") {
    CHECK(Files().mistakes("http2 = true\nhsts = { max_age = \"1h\" }\n") ==
          Strings{"t:6:1: \"http2\" belongs to [[listener]], above [listener.tls]",
                  "t:7:1: \"hsts\" belongs to [[listener]], above [listener.tls]"});
    CHECK(Files().mistakes("defualt = \"a.example\"\n") ==
          Strings{"t:6:1: unknown key \"listener.tls.defualt\"; did you mean \"default\"?"});
}

}  // namespace
}  // namespace palier::config
