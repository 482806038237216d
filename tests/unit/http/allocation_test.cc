// In steady state a keep-alive exchange's heads cost no allocation: counted at operator new.
#include "catch.h"
#include "palier/http/body.h"
#include "palier/http/h1_parser.h"
#include "palier/http/h1_writer.h"
#include "palier/http/path.h"

#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

namespace {

std::size_t allocations = 0;

}  // namespace

// All that pair with operator delete(void*), or AddressSanitizer sees memory of the one freed by the other.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
    if (void* memory = operator new(size, std::nothrow)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

using namespace palier::http;

namespace {

/// The parts of an exchange that a worker keeps.
struct Worker {
    RequestParser requests{{}};
    ResponseParser responses{{}};
    palier::base::Buffer to_backend;
    palier::base::Buffer to_client;
    std::string path;
    BodyReader body;

    bool serve(const std::string& request, const std::string& response) {
        to_backend.clear();
        to_client.clear();
        const HeadResult asked = requests.parse(request, 0);
        if (asked.state != HeadState::complete) return false;
        const CanonicalPath canonical = canonical_path(requests.head().path, path);
        write_request_head(to_backend, requests.head(), canonical.forward, requests.head().body,
                           {"192.0.2.7", "http", "80", "0123456789abcdef", true});
        const HeadResult answered = responses.parse(response, 0, requests.head().method, false);
        if (answered.state != HeadState::complete) return false;
        write_response_head(to_client, responses.head(), {.body = responses.head().body});
        body.start(responses.head().body, 1024);
        std::string_view rest = std::string_view(response).substr(answered.consumed);
        while (!body.ended()) {
            const BodyReader::Step step = body.next(rest);
            if (step.event == BodyReader::Event::error || step.event == BodyReader::Event::need_more)
                return false;
            rest.remove_prefix(step.consumed);
        }
        return rest.empty();
    }
};

}  // namespace

TEST_CASE("A keep-alive exchange allocates nothing in steady state") {
    const std::string request =
        "GET /shop/%61/../b?c=d HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: "
        "a=b\r\nConnection: "
        "keep-alive, x\r\nX: y\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n";
    const std::string response =
        "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Type: text/html\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    Worker worker;
    REQUIRE(worker.serve(request, response));
    const char* backend_memory = worker.to_backend.data();
    const char* client_memory = worker.to_client.data();
    const std::size_t before = allocations;
    bool served = true;
    for (int i = 0; i < 1000; ++i)
        served = served && worker.serve(request, response);
    const std::size_t after = allocations;
    CHECK(served);
    CHECK(after == before);
    CHECK(before > 0);                                  // the counter counts
    CHECK(worker.to_backend.data() == backend_memory);  // the buffers' memory comes from malloc
    CHECK(worker.to_client.data() == client_memory);
}

TEST_CASE("A body reader is small") {
    CHECK(sizeof(BodyReader) <= 64);
}
