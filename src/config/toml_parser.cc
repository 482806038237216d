#include "config/toml_parser.h"

#include "config/key_place.h"
#include "config/syntax_error.h"

#include <algorithm>
#include <exception>
#include <expected>
#include <sstream>

#include <toml.hpp>

namespace palier::config {
namespace {

/// Repeated parsing after syntax errors ends when this many bytes have been read again.
constexpr std::size_t kRepeatLimit = std::size_t{4} << 20;

std::size_t offset_of(const toml::value& value) {
    const auto* region = dynamic_cast<const toml::detail::region*>(toml::detail::get_region(value));
    return region == nullptr ? 0 : static_cast<std::size_t>(region->first() - region->begin());
}

Node convert(const toml::value& value, const Document& document);

void convert_table(const toml::table& table, Node& node) {
    const std::string& text = node.document->text;
    node.kind = Node::Kind::table;
    node.entries.reserve(table.size());
    for (const auto& [key, value] : table) {
        node.entries.push_back(
            {key, key_offset(text, offset_of(value), key), convert(value, *node.document)});
    }
    std::ranges::sort(node.entries, {}, &Node::Entry::key_offset);
}

Node convert(const toml::value& value, const Document& document) {
    Node node;
    node.document = &document;
    node.offset = offset_of(value);
    switch (value.type()) {
        case toml::value_t::string:
            node.kind = Node::Kind::string;
            node.string = value.as_string().str;
            break;
        case toml::value_t::integer:
            node.kind = Node::Kind::integer;
            node.integer = value.as_integer();
            break;
        case toml::value_t::floating:
            node.kind = Node::Kind::floating;
            break;
        case toml::value_t::boolean:
            node.kind = Node::Kind::boolean;
            node.boolean = value.as_boolean();
            break;
        case toml::value_t::array:
            node.kind = Node::Kind::array;
            node.items.reserve(value.as_array().size());
            for (const toml::value& item : value.as_array()) {
                node.items.push_back(convert(item, document));
            }
            break;
        case toml::value_t::table:
            convert_table(value.as_table(), node);
            break;
        case toml::value_t::offset_datetime:
        case toml::value_t::local_datetime:
        case toml::value_t::local_date:
        case toml::value_t::local_time:
        case toml::value_t::empty:
            node.kind = Node::Kind::time;
            break;
    }
    return node;
}

std::expected<toml::value, SyntaxError> parse(const std::string& text, const Document& document) {
    try {
        std::istringstream stream(text);
        return toml::parse(stream, document.name);
    } catch (const toml::exception& error) {
        const auto& place = error.location();
        return std::unexpected(understand(error.what(), {place.line(), place.column()}, document));
    } catch (const std::exception& error) {
        return std::unexpected(understand(error.what(), {1, 1}, document));
    }
}

}  // namespace

void parse_toml(Document& document, Mistakes& mistakes) {
    std::string text = document.text;
    for (std::size_t repeated = 0; repeated <= kRepeatLimit; repeated += text.size() + 1) {
        const auto parsed = parse(text, document);
        if (parsed) {
            convert_table(parsed->as_table(), document.root);
            return;
        }
        const SyntaxError& error = parsed.error();
        const std::size_t offset = document.offset_of(error.line, error.column);
        mistakes.add({&document, offset}, error.message);
        const std::string_view line = document.line(error.line);
        const auto start = static_cast<std::size_t>(line.data() - document.text.data());
        const bool left_out_already = text.find_first_not_of(' ', start) >= start + line.size();
        if (!error.line_can_be_left_out || left_out_already) break;
        document.lines_left_out = true;
        if (line.find("include") != std::string_view::npos) document.complete = false;
        std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(start), line.size(), ' ');
    }
    document.complete = false;
}

}  // namespace palier::config
