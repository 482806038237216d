// HTTP/2 sessions: whatever a client says after its preface, streams open and close in pairs, no more of them
// than may, and every head that comes out can be written as HTTP/1 and is read back as the same.
#include "palier/http/h1_writer.h"
#include "palier/http/h2_session.h"
#include "palier/http/path.h"
#include "split.h"

#include <map>

using namespace palier::http;
using namespace palier::fuzz;

namespace {

constexpr std::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0",
                                    42);
constexpr std::uint32_t kStreams = 6;

/// What is chosen at each turn: a sequence that the input's first byte seeds.
class Choices {
  public:
    explicit Choices(unsigned seed) : state_(seed * 2654435761U + 1) {}
    unsigned next(unsigned count) {
        state_ = state_ * 1664525U + 1013904223U;
        return (state_ >> 16) % count;
    }

  private:
    std::uint32_t state_;
};

class Source final : public H2Source {
  public:
    explicit Source(Choices& choices) : left_(choices.next(3) * 20'000), ended_(choices.next(2) == 0) {
        if (choices.next(3) == 0) trailers_ = "Sum: 1\r\n";
    }
    [[nodiscard]] std::size_t available() const override { return left_; }
    [[nodiscard]] bool ended() const override { return ended_; }
    [[nodiscard]] std::string_view trailers() const override { return trailers_; }
    void take(palier::base::Buffer& out, std::size_t size) override {
        PALIER_ASSERT(size <= left_ && !dead);
        out.append(std::string(size, 'x'));
        left_ -= size;
    }
    void more(Choices& choices) {
        if (ended_) return;
        left_ += choices.next(2) * 100;
        ended_ = choices.next(2) == 0;
    }
    bool dead = false;

  private:
    std::size_t left_;
    bool ended_;
    std::string_view trailers_;
};

struct Stream {
    BodyLength body;
    bool tunnel = false;
    bool refused = false;
    bool ended = false;
    std::uint64_t received = 0;
    std::uint64_t unused = 0;
    std::unique_ptr<Source> source;
};

/// What a backend would see of `head` is HTTP/1 and says the same.
void check_written(const RequestHead& head) {
    std::string storage;
    const CanonicalPath path = canonical_path(head.path, storage);
    if (!path.ok) return;
    palier::base::Buffer out;
    write_request_head(out, head, path.forward, head.body, {"192.0.2.7", "https", "443", "fuzz", false, ""});
    RequestParser parser({.size = out.size() + 1, .fields = head.fields.size() + 16});
    const HeadResult result = parser.parse(out.view(), 0);
    PALIER_ASSERT(result.state == HeadState::complete);
    PALIER_ASSERT(result.consumed == out.size());
    const RequestHead& again = parser.head();
    PALIER_ASSERT(again.method_token == head.method_token && again.path == path.forward);
    PALIER_ASSERT(again.authority == head.authority && again.host == head.host);
    PALIER_ASSERT(again.body.framing == head.body.framing && again.body.length == head.body.length);
    PALIER_ASSERT(again.expects_continue == head.expects_continue);
    PALIER_ASSERT(again.wants_upgrade == head.wants_upgrade && again.upgrade == head.upgrade);
}

void check_trailers(std::string_view lines) {
    while (!lines.empty()) {
        const std::size_t end = lines.find("\r\n");
        PALIER_ASSERT(end != std::string_view::npos &&
                      lines.substr(0, end).find(": ") != std::string_view::npos);
        check_clean(lines.substr(0, end));
        lines.remove_prefix(end + 2);
    }
}

class Server : public H2Receiver {
  public:
    Server(const Input& input)
        : choices_(input.options),
          limits_{.head = input.limits(), .streams = kStreams},
          session_(workspace_, limits_) {}

    void run(const Input& input) {
        bool good = receive(kPreface);
        std::size_t at = 0;
        for (const std::size_t end : input.cuts()) {
            if (!good) break;
            good = receive(input.message.substr(at, end - at));
            at = end;
            if (choices_.next(4) != 0) produce();
            if (choices_.next(64) == 0) session_.go_away();
            act();
        }
        produce();
        if (!good) PALIER_ASSERT(session_.finished());
        if (!good) PALIER_ASSERT(!session_.receive("x", now_, *this));
        PALIER_ASSERT(good || session_.flood() != H2Flood::none || !session_.has_output());
    }

    void on_request(std::int32_t id, const RequestHead& head, std::size_t size) override {
        Stream& stream = begin(id);
        stream.body = head.body;
        stream.tunnel = head.wants_upgrade;
        PALIER_ASSERT(size <= limits_.head.size && head.fields.size() <= limits_.head.fields + 1);
        check_clean(head.method_token);
        check_clean(head.target);
        check_clean(head.authority);
        for (const Field& field : head.fields) {
            check_clean(field.name);
            check_clean(field.value);
            PALIER_ASSERT(field.verbatim);
            PALIER_ASSERT(field.name.data() + field.name.size() + 2 == field.value.data());
        }
        check_written(head);
        act_on(id);
    }
    void on_refused(std::int32_t id, Refusal) override {
        begin(id).refused = true;
        act_on(id);
    }
    void on_data(std::int32_t id, std::string_view bytes) override {
        Stream& stream = find(id);
        PALIER_ASSERT(!stream.refused && !stream.ended && !bytes.empty());
        stream.received += bytes.size();
        stream.unused += bytes.size();
        if (stream.body.framing == Framing::length) PALIER_ASSERT(stream.received <= stream.body.length);
        act_on(id);
    }
    void on_end(std::int32_t id, std::string_view trailers) override {
        Stream& stream = find(id);
        PALIER_ASSERT(!stream.refused && !stream.ended);
        PALIER_ASSERT(stream.tunnel || stream.body.framing == Framing::chunked || stream.body.length > 0);
        if (stream.body.framing == Framing::length) PALIER_ASSERT(stream.received == stream.body.length);
        stream.ended = true;
        check_trailers(trailers);
        act_on(id);
    }
    void on_closed(std::int32_t id, H2Error) override {
        if (Source* source = find(id).source.get()) source->dead = true;
        streams_.erase(id);
    }

  private:
    Stream& begin(std::int32_t id) {
        PALIER_ASSERT(id > last_);
        last_ = id;
        Stream& stream = streams_[id];
        PALIER_ASSERT(streams_.size() <= kStreams);
        return stream;
    }
    Stream& find(std::int32_t id) {
        const auto found = streams_.find(id);
        PALIER_ASSERT(found != streams_.end());
        return found->second;
    }

    bool receive(std::string_view bytes) {
        const ExactBytes exact(bytes);
        now_ += choices_.next(3);
        return session_.receive(exact.view(), now_, *this);
    }

    void produce() {
        palier::base::Buffer out;
        for (int turn = 0; session_.has_output(); ++turn) {
            PALIER_ASSERT(turn < 100'000);
            out.clear();
            session_.produce(out, 1 + choices_.next(40'000), *this);
            if (out.empty()) break;
        }
    }

    /// Something that an owner may do at any time.
    void act() {
        if (streams_.empty()) return;
        auto stream = streams_.begin();
        std::advance(stream, choices_.next(static_cast<unsigned>(streams_.size())));
        act_on(stream->first);
    }

    void act_on(std::int32_t id) {
        Stream& stream = find(id);
        switch (choices_.next(12)) {
            case 0:
            case 1:
            case 2:
            case 3:
                respond(id, stream);
                break;
            case 4:
                if (stream.source) stream.source->dead = true;
                session_.reset(id, H2Error::cancel, choices_.next(2) == 0);
                break;
            case 5:
            case 6:
            case 7:
                session_.consume(id, stream.unused);
                stream.unused = 0;
                break;
            case 8:
                inform(id);
                break;
            case 9:
                if (choices_.next(100) == 0) session_.terminate(H2Error::internal_error);
                break;
            default:
                if (stream.source) stream.source->more(choices_);
                session_.resume(id);
                break;
        }
    }

    void respond(std::int32_t id, Stream& stream) {
        if (stream.source) return;
        ResponseHead head;
        head.status = stream.tunnel && choices_.next(2) == 0 ? 101 : 200;
        head.fields = {{.name = "Server", .value = "s", .known = Name::server}};
        stream.source = std::make_unique<Source>(choices_);
        session_.respond(id, head, {Framing::chunked, 0}, false, "", stream.source.get());
    }

    void inform(std::int32_t id) {
        ResponseHead head;
        head.status = 103;
        session_.inform(id, head);
    }

    Choices choices_;
    H2Limits limits_;
    H2Workspace workspace_;
    std::map<std::int32_t, Stream> streams_;
    H2Session session_;  // ends first: it may still know of sources
    std::int32_t last_ = 0;
    std::uint64_t now_ = 1;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Input input(data, size);
    Server(input).run(input);
    return 0;
}
