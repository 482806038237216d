#include "config/route_action.h"

#include "config/file.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::array<std::uint16_t, 4> kRedirectCodes{301, 302, 307, 308};
constexpr std::array<std::uint16_t, 3> kCodesWithoutBody{204, 205,
                                                         304};  // RFC 9110 sections 15.3.5, 15.3.6, 15.4.5

constexpr std::array<std::string_view, 3> kActions{"pool", "redirect", "respond"};

struct Extension {
    std::string_view name;
    std::string_view type;
};

constexpr std::array<Extension, 19> kExtensions{{
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"txt", "text/plain; charset=utf-8"},
    {"json", "application/json"},
    {"xml", "application/xml"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/x-icon"},
    {"pdf", "application/pdf"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"webmanifest", "application/manifest+json"},
}};

void read_forward(TableReader& table, RouteConfig& route, Reading& reading) {
    const Node* text = table.text("pool");
    if (text == nullptr) return;
    if (const auto pool = reading.pools.resolve(*text, "pool", reading.mistakes))
        route.action = ForwardAction{*pool};
}

/// The target goes into a Location field: only visible ASCII may stand there.
bool is_redirect_target(std::string_view to) {
    if (!std::ranges::all_of(to, [](char c) {
            return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\';
        })) {
        return false;
    }
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (to.starts_with(scheme)) return to.size() > scheme.size() && to[scheme.size()] != '/';
    }
    return to == "https" || to.starts_with('/');
}

void read_redirect(TableReader& route_table, RouteConfig& route) {
    auto table = route_table.table("redirect");
    if (!table) return;
    RedirectAction action;
    if (const Node* to = table->required_text("to")) {
        action.to = to->string;
        if (!is_redirect_target(to->string)) {
            table->mistakes().add(
                to->place(),
                fmt::format("\"route.redirect.to\" must be \"https\", an absolute URL or a path that "
                            "begins with \"/\", not \"{}\"",
                            to->string));
        }
    }
    const Node* code = table->find("code");
    table->read<std::uint16_t>("code", action.code, {0, 65'535});
    if (action.code != 303 && std::ranges::find(kRedirectCodes, action.code) == kRedirectCodes.end() &&
        code != nullptr) {
        table->mistakes().add(
            code->place(),
            fmt::format("\"route.redirect.code\" must be 301, 302, 303, 307 or 308, not {}", action.code));
    }
    table->finish();
    route.action = std::move(action);
}

void read_respond(TableReader& route_table, RouteConfig& route) {
    auto table = route_table.table("respond");
    if (!table) return;
    RespondAction action;
    table->read<std::uint16_t>("code", action.code, {200, 599});
    if (const Node* file = table->text("file")) {
        const std::string path = file->document->resolve(file->string);
        auto body = read_regular(path, kLargestPage);
        if (!body) {
            table->mistakes().add(file->place(),
                                  fmt::format("\"{}\" cannot be used: {}", path, body.error().message));
        } else if (std::ranges::find(kCodesWithoutBody, action.code) != kCodesWithoutBody.end()) {
            table->mistakes().add(file->place(),
                                  fmt::format("a response with code {} cannot have a \"file\"", action.code));
        } else {
            action.body = std::move(*body);
            action.content_type = content_type_of(path);
        }
    }
    table->finish();
    route.action = std::move(action);
}

}  // namespace

std::string_view content_type_of(std::string_view path) {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    const std::size_t dot = name.rfind('.');
    std::string extension(dot == std::string_view::npos ? "" : name.substr(dot + 1));
    std::ranges::transform(extension, extension.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const auto known = std::ranges::find(kExtensions, extension, &Extension::name);
    return known == kExtensions.end() ? "application/octet-stream" : known->type;
}

void read_action(TableReader& route_table, RouteConfig& route, Reading& reading) {
    std::string_view first;
    for (const std::string_view key : kActions) {
        if (route_table.find(key) == nullptr) continue;
        if (first.empty()) {
            first = key;
        } else {
            reading.mistakes.add(
                route_table.key_place(key),
                fmt::format("a route does one thing: \"{}\" or \"{}\", not both", first, key));
        }
    }
    const bool explained =
        std::ranges::any_of(kActions, [&](auto key) { return route_table.misspelt(key); }) ||
        route_table.place().document->lines_left_out || !reading.complete;
    if (first.empty() && !explained) {
        reading.mistakes.add(route_table.place(),
                             "the route does nothing: it needs \"pool\", \"redirect\" or \"respond\"");
    }
    read_forward(route_table, route, reading);
    read_redirect(route_table, route);
    read_respond(route_table, route);
}

}  // namespace palier::config
