#include "accept.h"

#include <algorithm>

namespace palier::proxy {
namespace {

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Takes the part before the next `separator` from the front of `rest`, without surrounding white space.
std::string_view next_part(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return trimmed(part);
}

/// `lower` is in lower case already.
bool equals_ignoring_case(std::string_view text, std::string_view lower) {
    return std::ranges::equal(text, lower, [](char left, char right) {
        return (left >= 'A' && left <= 'Z' ? static_cast<char>(left + 32) : left) == right;
    });
}

/// "0.75" as 750; 0, which is "not acceptable", for what is no weight (RFC 9110 section 12.4.2).
unsigned parse_weight(std::string_view text) {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
    unsigned weight = text[0] == '1' ? 1000 : 0;
    if (text.size() > 1 && text[1] != '.') return 0;
    unsigned place = 100;
    for (const char digit : text.substr(std::min<std::size_t>(2, text.size()))) {
        if (digit < '0' || digit > '9') return 0;
        weight += static_cast<unsigned>(digit - '0') * place;
        place /= 10;
    }
    return std::min(weight, 1000U);
}

/// How well a media type is accepted: by the most specific range that covers it.
struct Preference {
    unsigned specificity = 0;  // 0: no range covers it, 1: */*, 2: type/*, 3: the type itself
    unsigned weight = 0;       // thousandths

    void consider(unsigned range_specificity, unsigned range_weight) {
        if (range_specificity > specificity) {
            specificity = range_specificity;
            weight = range_weight;
        }
    }
};

unsigned specificity_for(std::string_view range, std::string_view type, std::string_view any_subtype) {
    if (equals_ignoring_case(range, type)) return 3;
    if (equals_ignoring_case(range, any_subtype)) return 2;
    return range == "*/*" ? 1 : 0;
}

}  // namespace

bool prefers_json(std::string_view accept) {
    Preference json;
    Preference html;
    while (!accept.empty()) {
        std::string_view parameters = next_part(accept, ',');
        const std::string_view range = next_part(parameters, ';');
        unsigned weight = 1000;
        while (!parameters.empty()) {
            std::string_view value = next_part(parameters, ';');
            if (equals_ignoring_case(next_part(value, '='), "q")) weight = parse_weight(value);
        }
        json.consider(specificity_for(range, "application/json", "application/*"), weight);
        html.consider(specificity_for(range, "text/html", "text/*"), weight);
    }
    if (json.weight != html.weight) return json.weight > html.weight;
    return json.weight > 0 && json.specificity > html.specificity;
}

}  // namespace palier::proxy
