// Which page answers a request to the admin listener, decided without I/O. Thread: any; pure.
#pragma once

#include "palier/admin/page.h"
#include "palier/http/message.h"

#include <span>

namespace palier::admin {

/// The page of that path, whatever its query; 405 for any method but GET and HEAD; 404 with a list of all pages.
[[nodiscard]] Answer answer_to(std::span<const Page> pages, const http::RequestHead& request);

}  // namespace palier::admin
