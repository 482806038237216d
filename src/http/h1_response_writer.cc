#include "http/h1_output.h"
#include "http/response_fields.h"
#include "palier/base/assert.h"
#include "palier/http/h1_writer.h"

namespace palier::http {
namespace {

/// Room for the status line's code, a Content-Length, Connection, Transfer-Encoding and Upgrade.
constexpr std::size_t kFixedRoom = 256;

class ResponseWriter {
  public:
    ResponseWriter(Output& out, const ResponseHead& head, const ResponseFraming& framing, bool names_fields)
        : out_(out), head_(head), framing_(framing), names_fields_(names_fields) {}

    void write() {
        out_.put("HTTP/1.1 ");
        out_.put_number(head_.status);
        out_.put(" ");
        out_.put(head_.reason);
        out_.put("\r\n");
        write_fields();
        if (head_.status >= 200) {
            write_framing();
            if (!framing_.keep_alive) {
                out_.put("Connection: close\r\n");
            } else if (framing_.minor == 0) {
                out_.put("Connection: keep-alive\r\n");
            }
        } else if (head_.status == 101) {
            out_.put("Connection: Upgrade\r\n");
        }
        out_.put(framing_.hsts);
        out_.put("\r\n");
    }

  private:
    void write_fields() {
        FieldWriter fields(out_);
        for (const Field& field : head_.fields) {
            if (field.known != Name::other && !passes(field)) continue;
            if (names_fields_ && is_named_away(field, head_.fields)) continue;
            fields.put(field);
        }
        fields.flush();
    }

    [[nodiscard]] bool passes(const Field& field) const {
        switch (field.known) {
            case Name::content_length:
                return keeps_length(head_, framing_.head_request);
            case Name::strict_transport_security:
                return framing_.hsts.empty();
            case Name::upgrade:
                return head_.status == 101;
            default:
                return !is_hop_by_hop(field.known);
        }
    }

    void write_framing() {
        if (head_.status == 204 || keeps_length(head_, framing_.head_request)) return;
        switch (framing_.body.framing) {
            case Framing::none:
                out_.put("Content-Length: 0\r\n");
                break;
            case Framing::length:
                out_.put("Content-Length: ");
                out_.put_number(framing_.body.length);
                out_.put("\r\n");
                break;
            case Framing::chunked:
                out_.put("Transfer-Encoding: chunked\r\n");
                break;
            case Framing::until_close:
                break;
        }
    }

    Output& out_;
    const ResponseHead& head_;
    const ResponseFraming& framing_;
    bool names_fields_;
};

}  // namespace

void write_response_head(base::Buffer& out, const ResponseHead& head, const ResponseFraming& framing) {
    PALIER_ASSERT(framing.minor > 0 || framing.body.framing != Framing::chunked);
    const FieldSurvey survey(head.fields);
    Output output(out.reserve(kFixedRoom + survey.room + head.reason.size() + framing.hsts.size()));
    ResponseWriter(output, head, framing, survey.connection.names_fields).write();
    out.commit(output.size());
}

}  // namespace palier::http
