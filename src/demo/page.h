// A front's page, as HTML for browsers and as plain text for everything else.
// Thread: any; pure.
#pragma once

#include "demo/request.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace palier::demo {

/// Who answers.
struct FrontView {
    std::string_view name;
    unsigned weight = 1;
    std::uint64_t requests = 0;  // this one included
};

/// Whether an Accept field asks for HTML.
[[nodiscard]] bool wants_html(std::string_view accept);

/// `note`: a sentence about this answer, "" for none.
[[nodiscard]] std::string html_page(const FrontView& front, const SeenRequest& request,
                                    std::string_view note);

/// First line "front1 · request 12 · came by https", without the last where no proxy says so; then the
/// request's lines as the front saw them.
[[nodiscard]] std::string text_page(const FrontView& front, const SeenRequest& request,
                                    std::string_view note);

}  // namespace palier::demo
