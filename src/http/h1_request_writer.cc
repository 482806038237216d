#include "http/ascii.h"
#include "http/h1_output.h"
#include "palier/http/h1_writer.h"

#include <cstdint>

namespace palier::http {
namespace {

/// Room for all that is written besides fields, path and the client's strings: line and field names, CRLFs, a
/// Content-Length, TE and Connection.
constexpr std::size_t kFixedRoom = 512;

/// The forwarded family, as it came from a trusted client; all empty from another.
struct Trusted {
    std::size_t addresses = 0;  // fields of X-Forwarded-For with something in them
    std::string_view host;
    std::string_view port;
    std::string_view proto;
    std::string_view request_id;
    std::string_view real_ip;

    /// True where the field is to be written in its place: the first of each kind, and all of the lists.
    /// X-Forwarded-For is written at the end, together with ours.
    bool note(const Field& field) {
        if (field.value.empty() || !is_canonical_spelling(field.known, field.name)) return false;
        switch (field.known) {
            case Name::x_forwarded_for:
                ++addresses;
                return false;
            case Name::x_forwarded_host:
                return keep_first(host, field.value);
            case Name::x_forwarded_port:
                return keep_first(port, field.value);
            case Name::x_forwarded_proto:
                return keep_first(proto, field.value);
            case Name::x_request_id:
                return keep_first(request_id, field.value);
            case Name::x_real_ip:
                return keep_first(real_ip, field.value);
            default:
                return true;
        }
    }

  private:
    static bool keep_first(std::string_view& kept, std::string_view value) {
        if (!kept.empty()) return false;
        kept = value;
        return true;
    }
};

class RequestWriter {
  public:
    RequestWriter(Output& out, const RequestHead& head, const ClientView& client, bool names_fields)
        : out_(out), head_(head), client_(client), names_fields_(names_fields) {}

    void write(std::string_view path, BodyLength body) {
        out_.put(head_.method_token);
        out_.put(" ");
        out_.put(path);
        out_.put(" HTTP/1.1\r\nHost: ");
        out_.put(head_.authority.empty() ? client_.default_host : head_.authority);
        out_.put("\r\n");
        write_fields();
        write_framing(body);
        write_connection();
        write_forwarded();
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

    /// Whether a field that a rule names is written in its place.
    bool passes(const Field& field) {
        switch (field.known) {
            case Name::connection:
            case Name::content_length:
            case Name::expect:
            case Name::host:
            case Name::http2_settings:
            case Name::keep_alive:
            case Name::proxy_connection:
            case Name::trailer:
            case Name::transfer_encoding:
            case Name::upgrade:
            case Name::x_client_subject:
                return false;
            case Name::te:
                for_each_element(field.value, [this](std::string_view coding) {
                    te_trailers_ |= equals_icase(coding, "trailers");
                });
                return false;
            case Name::forwarded:
            case Name::x_forwarded_for:
            case Name::x_forwarded_host:
            case Name::x_forwarded_port:
            case Name::x_forwarded_proto:
            case Name::x_forwarded_other:
            case Name::x_real_ip:
            case Name::x_request_id:
                return client_.trusted && trusted_.note(field);
            default:
                return true;
        }
    }

    void write_framing(BodyLength body) {
        if (body.framing == Framing::length) {
            out_.put("Content-Length: ");
            out_.put_number(body.length);
            out_.put("\r\n");
        } else if (body.framing == Framing::chunked) {
            out_.put("Transfer-Encoding: chunked\r\n");
        }
        if (head_.expects_continue) out_.put("Expect: 100-continue\r\n");
    }

    void write_connection() {
        if (head_.wants_upgrade) {
            out_.put("Connection: Upgrade\r\nUpgrade: ");
            out_.put(head_.upgrade);
            out_.put("\r\n");
        } else if (te_trailers_) {
            out_.put("Connection: TE\r\nTE: trailers\r\n");
        }
    }

    void write_forwarded() {
        out_.put("X-Forwarded-For: ");
        if (trusted_.addresses > 0) write_old_addresses();
        out_.put(client_.address);
        if (trusted_.proto.empty()) {
            out_.put("\r\nX-Forwarded-Proto: ");
            out_.put(client_.scheme);
        }
        if (trusted_.host.empty() && !head_.authority.empty()) {
            out_.put("\r\nX-Forwarded-Host: ");
            out_.put(head_.authority);
        }
        if (trusted_.port.empty()) {
            out_.put("\r\nX-Forwarded-Port: ");
            out_.put(client_.port);
        }
        if (trusted_.request_id.empty() && !client_.request_id.empty()) {
            out_.put("\r\nX-Request-Id: ");
            out_.put(client_.request_id);
        }
        if (!client_.subject.empty()) {
            out_.put("\r\nX-Client-Subject: ");
            out_.put(client_.subject);
        }
        out_.put("\r\n");
    }

    void write_old_addresses() {
        for (const Field& field : head_.fields) {
            const bool good = field.known == Name::x_forwarded_for && !field.value.empty() &&
                              is_canonical_spelling(field.known, field.name);
            if (!good) continue;
            out_.put(field.value);
            out_.put(", ");
        }
    }

    Output& out_;
    const RequestHead& head_;
    const ClientView& client_;
    bool names_fields_;
    bool te_trailers_ = false;
    Trusted trusted_;
};

}  // namespace

void write_request_head(base::Buffer& out, const RequestHead& head, std::string_view path, BodyLength body,
                        const ClientView& client) {
    const FieldSurvey survey(head.fields);
    const std::size_t room = kFixedRoom + survey.room + head.method_token.size() + path.size() +
                             2 * head.authority.size() + head.upgrade.size() + client.address.size() +
                             client.scheme.size() + client.port.size() + client.request_id.size() +
                             client.default_host.size() + client.subject.size();
    Output output(out.reserve(room));
    RequestWriter(output, head, client, survey.connection.names_fields).write(path, body);
    out.commit(output.size());
}

}  // namespace palier::http
