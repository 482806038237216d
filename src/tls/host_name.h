// Host names as certificates and clients spell them, brought to one form.
// Thread: values, any thread.
#pragma once

#include <array>
#include <string_view>

namespace palier::tls {

inline constexpr std::size_t kLongestHostName = 253;  // RFC 1035 section 2.3.4, without the final dot

/// A host name in lower case, without its final dot, in memory of its own.
class HostName {
  public:
    /// Empty for what is no host name: wrong bytes, empty or overlong labels. With `wildcard`, the whole
    /// first label may be "*" (RFC 6125 section 6.4.3).
    explicit HostName(std::string_view text, bool wildcard = false);

    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }
    /// "*.example.com" of "www.example.com"; empty when there is no dot.
    [[nodiscard]] HostName wildcard() const;

  private:
    HostName() = default;

    std::array<char, kLongestHostName> text_;
    std::size_t size_ = 0;
};

}  // namespace palier::tls
