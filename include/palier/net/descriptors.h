// Descriptors that pass from one process to another over a Unix socket (SCM_RIGHTS, unix(7)).
//
// They travel with the first of the bytes beside which they were sent, and the kernel does not join these with bytes of an
// earlier send: whoever receives the first of those bytes has received their descriptors. Both ends hold them then; each
// closes its own.
//
// Thread: any.
#pragma once

#include "palier/net/socket.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace palier::net {

/// As many as the kernel lets go at once are 253; this leaves it room.
constexpr std::size_t kMostDescriptorsAtOnce = 200;

/// One sendmsg of `bytes`, which are not none, with `descriptors`, at most kMostDescriptorsAtOnce. Where fewer bytes went
/// than asked for, all of the descriptors did: the rest is to be sent without.
[[nodiscard]] IoResult send_with_descriptors(int socket, std::string_view bytes,
                                             std::span<const int> descriptors);

/// One recvmsg. Adds what came to `descriptors`, closed on exec, and now the caller's. Fails with EMFILE when some of them
/// found no room; none of that message is left open then.
[[nodiscard]] IoResult receive_with_descriptors(int socket, std::span<char> room,
                                                std::vector<int>& descriptors);

}  // namespace palier::net
