/*
 * The backend of the benchmark: a small HTTP/1.1 server that is never the bottleneck.
 *
 * usage: backend PORT [COUNT]      listens on PORT of 127.0.0.1 and of the COUNT - 1 addresses after it
 *
 * The last segment of the path chooses the answer, so that any route may lead here:
 *   128, 100k, 10m     a body of that size: the alphabet, again and again
 *   page               128 bytes with the head that an application would send
 *   upload-N           reads the body; 200 if it had N bytes, else 400
 * Anything else is 404. Split reads and pipelined requests are served in order; bodies need a Content-Length.
 * Connections are registered once, edge-triggered; responses are built once, at the start.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kHeadLimit = 32 * 1024, kScratchSize = 256 * 1024, kBatch = 256 };

struct Response {
    char* bytes;
    size_t size;
};

/* Each answer as kept alive [0] and as closing [1]. */
struct Answer {
    const char* name;
    struct Response ready[2];
};

static struct Answer answers[] = {{.name = "128"}, {.name = "page"}, {.name = "100k"}, {.name = "10m"}};
static struct Answer uploaded, wrong_length, not_found;

struct Connection {
    int fd;
    bool ending;  /* the peer has closed: read until recv says so */
    bool closing; /* close when the response is out */
    const struct Response* sending;
    size_t sent;
    const struct Response* after_body; /* what to send when the request's body has been read */
    size_t body_left;
    size_t used; /* of buffer: received and not yet parsed */
    char buffer[kHeadLimit];
};

static int poller;
static char scratch[kScratchSize];

static void die(const char* what) {
    perror(what);
    exit(1);
}

static struct Response build(const char* status, const char* fields, size_t body_size, bool closing) {
    char date[64], head[2048];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    int head_size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nDate: %s\r\n%sContent-Length: %zu\r\n%s\r\n",
                             status, date, fields, body_size, closing ? "Connection: close\r\n" : "");
    struct Response response = {.size = (size_t)head_size + body_size};
    response.bytes = malloc(response.size);
    if (response.bytes == NULL) die("malloc");
    memcpy(response.bytes, head, (size_t)head_size);
    for (size_t i = 0; i < body_size; ++i)
        response.bytes[(size_t)head_size + i] = (char)('a' + i % 26);
    return response;
}

static void build_both(struct Answer* answer, const char* status, const char* fields, size_t body_size) {
    answer->ready[0] = build(status, fields, body_size, false);
    answer->ready[1] = build(status, fields, body_size, true);
}

static void build_all(void) {
    static const char plain[] = "Server: backend\r\nContent-Type: text/plain\r\n";
    static const char page[] =
        "Server: backend\r\n"
        "Content-Type: text/html; charset=UTF-8\r\n"
        "Cache-Control: private, no-cache, must-revalidate, max-age=0\r\n"
        "ETag: \"5f3c1a9e-80\"\r\n"
        "Vary: Accept-Encoding, Cookie\r\n"
        "Set-Cookie: basket=9f86d081884c7d659a2feaa0c55ad015; path=/; HttpOnly; SameSite=Lax\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "X-Frame-Options: SAMEORIGIN\r\n";
    build_both(&answers[0], "200 OK", plain, 128);
    build_both(&answers[1], "200 OK", page, 128);
    build_both(&answers[2], "200 OK", plain, 100 * 1024);
    build_both(&answers[3], "200 OK", plain, 10 * 1024 * 1024);
    build_both(&uploaded, "200 OK", plain, 128);
    build_both(&wrong_length, "400 Bad Request", plain, 0);
    build_both(&not_found, "404 Not Found", plain, 0);
}

/* The value of a field in a head that ends with an empty line, or NULL. `name` includes the colon. */
static const char* field_of(const char* head, const char* end, const char* name) {
    size_t size = strlen(name);
    for (const char* line = head; line < end;) {
        const char* line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL) return NULL;
        line = line_end + 1;
        if ((size_t)(end - line) <= size || strncasecmp(line, name, size) != 0) continue;
        line += size;
        while (*line == ' ')
            ++line;
        return line;
    }
    return NULL;
}

static const struct Answer* answer_for(const char* name, size_t size, size_t body_size) {
    for (size_t i = 0; i < sizeof answers / sizeof *answers; ++i)
        if (strlen(answers[i].name) == size && memcmp(answers[i].name, name, size) == 0) return &answers[i];
    if (size > 7 && memcmp(name, "upload-", 7) == 0)
        return strtoull(name + 7, NULL, 10) == body_size ? &uploaded : &wrong_length;
    return &not_found;
}

/* Takes one head from the buffer. False: a request that this server cannot read. */
static bool take_request(struct Connection* c, const char* end) {
    const char* target = memchr(c->buffer, ' ', (size_t)(end - c->buffer));
    const char* target_end = target == NULL ? NULL : memchr(target + 1, ' ', (size_t)(end - target - 1));
    if (target_end == NULL || field_of(c->buffer, end, "Transfer-Encoding:") != NULL) return false;
    const char* name = memrchr(target, '/', (size_t)(target_end - target));
    if (name == NULL) return false;
    ++name;

    const char* length = field_of(c->buffer, end, "Content-Length:");
    const char* connection = field_of(c->buffer, end, "Connection:");
    size_t body_size = length == NULL ? 0 : strtoull(length, NULL, 10);
    bool closing = connection != NULL && strncasecmp(connection, "close", 5) == 0;
    const struct Answer* answer = answer_for(name, (size_t)(target_end - name), body_size);
    c->closing = closing;
    c->after_body = &answer->ready[closing];
    c->body_left = body_size;

    size_t head_size = (size_t)(end - c->buffer);
    c->used -= head_size;
    memmove(c->buffer, end, c->used);
    return true;
}

static void take_buffered_body(struct Connection* c) {
    size_t taken = c->used < c->body_left ? c->used : c->body_left;
    c->body_left -= taken;
    c->used -= taken;
    memmove(c->buffer, c->buffer + taken, c->used);
}

enum Step { kGoOn, kWait, kClose };

static enum Step send_response(struct Connection* c) {
    ssize_t sent = send(c->fd, c->sending->bytes + c->sent, c->sending->size - c->sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? kWait : kClose;
    c->sent += (size_t)sent;
    if (c->sent < c->sending->size) return kGoOn;
    c->sending = NULL;
    return c->closing ? kClose : kGoOn;
}

/* A short read means that the socket is empty and a new edge will come; only an end needs one read more. */
static enum Step receive(struct Connection* c, bool* drained) {
    if (*drained && !c->ending) return kWait;
    bool body = c->body_left > 0;
    char* to = body ? scratch : c->buffer + c->used;
    size_t room = kHeadLimit - c->used;
    if (body) room = c->body_left < kScratchSize ? c->body_left : kScratchSize;
    if (room == 0) return kClose;
    ssize_t received = recv(c->fd, to, room, 0);
    if (received == 0) return kClose;
    if (received < 0) return errno == EAGAIN ? kWait : kClose;
    *drained = (size_t)received < room;
    if (body)
        c->body_left -= (size_t)received;
    else
        c->used += (size_t)received;
    return kGoOn;
}

static enum Step step(struct Connection* c, bool* drained) {
    if (c->sending != NULL) return send_response(c);
    if (c->body_left > 0 && c->used > 0) take_buffered_body(c);
    if (c->body_left > 0) return receive(c, drained);
    if (c->after_body != NULL) {
        c->sending = c->after_body;
        c->sent = 0;
        c->after_body = NULL;
        return kGoOn;
    }
    const char* blank = memmem(c->buffer, c->used, "\r\n\r\n", 4);
    if (blank == NULL) return receive(c, drained);
    return take_request(c, blank + 4) ? kGoOn : kClose;
}

static void serve(struct Connection* c, uint32_t events) {
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) c->ending = true;
    bool drained = false;
    enum Step outcome;
    do
        outcome = step(c, &drained);
    while (outcome == kGoOn);
    if (outcome == kWait) return;
    close(c->fd);
    free(c);
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct Connection* c = malloc(sizeof *c);
        if (c == NULL) die("malloc");
        memset(c, 0, offsetof(struct Connection, buffer));
        c->fd = fd;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
    }
    if (errno != EAGAIN && errno != ECONNABORTED) die("accept4");
}

static int listen_on(uint32_t address, uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) die("socket");
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    if (bind(fd, (struct sockaddr*)&name, sizeof name) != 0) die("bind");
    if (listen(fd, SOMAXCONN) != 0) die("listen");
    return fd;
}

/* A listener is told from a connection by the lowest bit of its event's word: connections are aligned. */
static void watch_listener(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = ((uint64_t)fd << 1) | 1};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: backend PORT [COUNT]\n");
        return 2;
    }
    uint32_t count = argc == 3 ? (uint32_t)atoi(argv[2]) : 1;
    build_all();
    poller = epoll_create1(0);
    for (uint32_t i = 0; i < count; ++i)
        watch_listener(listen_on(INADDR_LOOPBACK + i, (uint16_t)atoi(argv[1])));

    for (;;) {
        struct epoll_event events[kBatch];
        int ready = epoll_wait(poller, events, kBatch, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; ++i) {
            if ((events[i].data.u64 & 1) != 0)
                accept_all((int)(events[i].data.u64 >> 1));
            else
                serve(events[i].data.ptr, events[i].events);
        }
    }
}
