// Lines of the control socket: a line that is understood comes back from its request, and what is said of one that is not
// is clean.
#include "palier/control/command_line.h"
#include "split.h"

using namespace palier;
using namespace palier::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ExactBytes line({reinterpret_cast<const char*>(data), size});
    const auto request = control::parse_line(line.view());
    if (!request) {
        check_clean(request.error().message);
        return 0;
    }
    if (request->command.empty()) {
        PALIER_ASSERT(line.view().find_first_not_of(' ') == std::string_view::npos);
        return 0;
    }
    const auto again = control::parse_line(control::line_of(*request));
    PALIER_ASSERT(again);
    PALIER_ASSERT(again->command == request->command && again->words == request->words);
    PALIER_ASSERT(again->options == request->options);
    return 0;
}
