#include "config/listener_tls.h"

#include "config/addresses.h"
#include "config/hsts.h"
#include "config/misplaced.h"
#include "config/paths.h"
#include "palier/config/nearest.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::array<Choice<TlsVersion>, 2> kVersions{
    {{"1.2", TlsVersion::tls_1_2}, {"1.3", TlsVersion::tls_1_3}}};
constexpr std::array<Choice<ClientAuth>, 3> kClientAuths{
    {{"off", ClientAuth::off}, {"optional", ClientAuth::optional}, {"required", ClientAuth::required}}};
constexpr std::array<std::string_view, 5> kListenerKeys{"name", "address", "proxy_protocol", "http2", "hsts"};
constexpr std::array<Choice<bool ListenerTlsConfig::*>, 2> kProtocols{
    {{"h2", &ListenerTlsConfig::http2}, {"http/1.1", &ListenerTlsConfig::http1}}};

void read_default(TableReader& table, ListenerTlsConfig& tls) {
    const Node* text = table.text("default");
    if (text == nullptr || text->string.empty()) return;
    if (auto name = parse_certificate_name(text->string)) {
        tls.default_name = std::move(*name);
    } else {
        table.mistakes().add(text->place(), name.error().message);
    }
}

void read_protocol(TableReader& table, const Node& text, ListenerTlsConfig& tls) {
    const auto known = std::ranges::find(kProtocols, text.string, &Choice<bool ListenerTlsConfig::*>::first);
    if (known == kProtocols.end()) {
        std::array<std::string_view, kProtocols.size()> names;
        std::ranges::transform(kProtocols, names.begin(), &Choice<bool ListenerTlsConfig::*>::first);
        table.mistakes().add(text.place(),
                             fmt::format("\"{}\" must hold {}, not \"{}\"{}", table.path_of("alpn"),
                                         alternatives(names), text.string, suggestion(text.string, names)));
    } else if (tls.*known->second) {
        table.mistakes().add(text.place(), fmt::format("\"{}\" is named twice", text.string));
    } else {
        tls.*known->second = true;
    }
}

void read_alpn(TableReader& table, ListenerTlsConfig& tls) {
    if (!table.has("alpn")) return;
    tls.http2 = tls.http1 = false;
    for (const Node* text : table.required_texts("alpn")) {
        read_protocol(table, *text, tls);
    }
}

/// A list as OpenSSL writes it; whether it knows the names is for it to say.
void read_list(TableReader& table, std::string_view key, std::string& list) {
    const Node* text = table.text(key);
    if (text == nullptr) return;
    const bool plain = std::ranges::all_of(text->string, [](char c) { return c > ' ' && c < 0x7f; });
    if (plain) {
        list = text->string;
    } else {
        table.mistakes().add(
            text->place(),
            fmt::format("\"{}\" must be names with \":\" between them, without spaces", table.path_of(key)));
    }
}

void read_client_auth(TableReader& table, ListenerTlsConfig& tls) {
    read_file_path(table, "client_ca", tls.client_ca);
    table.read("client_auth", tls.client_auth, kClientAuths);
    const Node* ca = table.find("client_ca");
    const bool no_ca = ca == nullptr ? !table.misspelt("client_ca") : ca->string.empty();
    const Node* auth = table.find("client_auth");
    const bool off = auth == nullptr ? !table.misspelt("client_auth") : auth->string == "off";
    if (tls.client_auth != ClientAuth::off && no_ca) {
        table.mistakes().add(
            table.key_place("client_auth"),
            fmt::format("\"{}\" needs \"listener.tls.client_ca\", the file against which clients' "
                        "certificates are verified",
                        auth->string));
    } else if (off && !tls.client_ca.empty()) {
        table.mistakes().add(table.key_place("client_ca"),
                             "\"listener.tls.client_ca\" is used only with client_auth = \"optional\" or "
                             "\"required\"");
    }
}

ListenerTlsConfig read_tls(TableReader& table) {
    ListenerTlsConfig tls;
    read_source_paths(table, "certificates", tls.certificates);
    read_default(table, tls);
    table.read("min_version", tls.min_version, kVersions);
    read_alpn(table, tls);
    read_list(table, "ciphers", tls.ciphers);
    read_list(table, "ciphersuites", tls.ciphersuites);
    read_list(table, "groups", tls.groups);
    read_file_path(table, "ticket_keys", tls.ticket_keys);
    read_client_auth(table, tls);
    report_misplaced(table, kListenerKeys, "[[listener]]");
    table.finish();
    return tls;
}

}  // namespace

void read_listener_tls(TableReader& table, ListenerConfig& listener) {
    if (auto tls = table.table("tls")) listener.tls = read_tls(*tls);
    const bool secure = table.meant("tls");
    table.read("http2", listener.http2);
    if (secure && table.has("http2")) {
        table.mistakes().add(table.key_place("http2"),
                             "\"listener.http2\" is for listeners without TLS; with it, \"h2\" in "
                             "\"listener.tls.alpn\" offers HTTP/2");
    }
    listener.hsts = read_hsts(table);
    if (!secure && table.has("hsts")) {
        table.mistakes().add(table.key_place("hsts"),
                             "\"listener.hsts\" needs [listener.tls]: browsers heed it over https only");
    }
}

}  // namespace palier::config
