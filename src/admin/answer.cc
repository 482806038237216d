#include "admin/answer.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::admin {
namespace {

Answer not_found(std::span<const Page> pages) {
    std::size_t width = 0;
    for (const Page& page : pages)
        width = std::max(width, page.path.size());
    Answer answer{.status = 404, .body = "There is nothing here. There is:\n"};
    for (const Page& page : pages)
        answer.body += fmt::format("{:<{}}  {}\n", page.path, width, page.about);
    return answer;
}

}  // namespace

Answer answer_to(std::span<const Page> pages, const http::RequestHead& request) {
    if (request.method != http::Method::get && request.method != http::Method::head)
        return {.status = 405, .body = "Only GET and HEAD are answered here.\n"};
    const std::string_view path = request.path.substr(0, request.path.find('?'));
    const auto page = std::ranges::find(pages, path, &Page::path);
    return page == pages.end() ? not_found(pages) : page->answer();
}

}  // namespace palier::admin
