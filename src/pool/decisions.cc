#include "palier/pool/decisions.h"

namespace palier::pool {

std::string_view text_of(Admin admin) {
    switch (admin) {
        case Admin::enabled:
            return "enabled";
        case Admin::drained:
            return "drained";
        case Admin::disabled:
            return "disabled";
        case Admin::left_out:
            return "left out";
    }
    return "";
}

}  // namespace palier::pool
