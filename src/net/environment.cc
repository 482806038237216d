#include "net/environment.h"

#include <functional>
#include <map>
#include <string_view>

#include <unistd.h>

namespace palier::net {

std::vector<std::string> changed_environment(
    const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) {
    std::map<std::string, std::string, std::less<>> variables;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (equals != std::string_view::npos)
            variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    for (const auto& [name, value] : changes) {
        if (value) {
            variables[name] = *value;
        } else {
            variables.erase(name);
        }
    }
    std::vector<std::string> texts;
    for (const auto& [name, value] : variables)
        texts.push_back(name + '=' + value);
    return texts;
}

}  // namespace palier::net
