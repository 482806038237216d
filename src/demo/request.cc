#include "demo/request.h"

#include <strings.h>

namespace palier::demo {

std::string_view SeenRequest::field(std::string_view name) const {
    for (const SeenField& field : fields) {
        if (field.name.size() == name.size() &&
            strncasecmp(field.name.data(), name.data(), name.size()) == 0) {
            return field.value;
        }
    }
    return {};
}

std::string_view SeenRequest::path() const {
    const std::string_view all = target;
    return all.substr(0, all.find('?'));
}

std::string_view SeenRequest::parameter(std::string_view name) const {
    const std::size_t mark = target.find('?');
    if (mark == std::string::npos) return {};
    std::string_view rest = std::string_view(target).substr(mark + 1);
    while (!rest.empty()) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(pair.size() < rest.size() ? pair.size() + 1 : pair.size());
        const std::size_t equals = pair.find('=');
        if (equals != std::string_view::npos && pair.substr(0, equals) == name)
            return pair.substr(equals + 1);
    }
    return {};
}

}  // namespace palier::demo
