/*
 * The floor: a blind forwarder, the least that any proxy on epoll can cost.
 *
 * usage: floor PORT BACKEND_PORT      both on 127.0.0.1
 *
 * Each client is paired with one backend connection for life. What one side sends is received once and sent
 * once to the other; nothing is parsed, so it cannot know where a message ends and serves keep-alive only.
 * Both sockets are registered once, edge-triggered; there is no epoll_ctl after that.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kScratchSize = 128 * 1024, kBatch = 256 };

struct Pair;

struct End {
    int fd;
    bool ending; /* the peer has closed or failed: read until recv says so */
    struct Pair* pair;
    char* held; /* what this end's peer was too slow to take */
    size_t held_size, held_sent;
};

struct Pair {
    struct End client, backend;
    bool closed;
    struct Pair* next_closed; /* freed after the batch, which may still name its ends */
};

static int poller;
static struct sockaddr_in backend_address;
static struct Pair* closed_pairs;
static char scratch[kScratchSize];

static void die(const char* what) {
    perror(what);
    exit(1);
}

static struct End* other_of(struct End* end) {
    return end == &end->pair->client ? &end->pair->backend : &end->pair->client;
}

static void close_pair(struct Pair* pair) {
    if (pair->closed) return;
    pair->closed = true;
    close(pair->client.fd);
    close(pair->backend.fd);
    pair->next_closed = closed_pairs;
    closed_pairs = pair;
}

static void free_closed(void) {
    while (closed_pairs != NULL) {
        struct Pair* pair = closed_pairs;
        closed_pairs = pair->next_closed;
        free(pair->client.held);
        free(pair->backend.held);
        free(pair);
    }
}

/* Sends, and holds what the socket does not take. False: the connection is broken. */
static bool give(struct End* to, const char* bytes, size_t size) {
    ssize_t sent = send(to->fd, bytes, size, MSG_NOSIGNAL);
    if (sent == (ssize_t)size) return true;
    if (sent < 0) {
        if (errno != EAGAIN) return false;
        sent = 0;
    }
    to->held_size = size - (size_t)sent;
    to->held_sent = 0;
    to->held = malloc(to->held_size);
    if (to->held == NULL) die("malloc");
    memcpy(to->held, bytes + sent, to->held_size);
    return true;
}

static bool give_held(struct End* to) {
    ssize_t sent = send(to->fd, to->held + to->held_sent, to->held_size - to->held_sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    to->held_sent += (size_t)sent;
    if (to->held_sent == to->held_size) {
        free(to->held);
        to->held = NULL;
    }
    return true;
}

/* A short read means that the socket is empty and a new edge will come; only an end needs one read more. */
static bool forward(struct End* from, struct End* to) {
    while (to->held == NULL) {
        ssize_t received = recv(from->fd, scratch, sizeof scratch, 0);
        if (received == 0) return false;
        if (received < 0) return errno == EAGAIN;
        if (!give(to, scratch, (size_t)received)) return false;
        if (received < (ssize_t)sizeof scratch && !from->ending) return true;
    }
    return true;
}

static bool serve(struct End* end, uint32_t events) {
    struct End* other = other_of(end);
    if ((events & EPOLLOUT) != 0 && end->held != NULL) {
        if (!give_held(end)) return false;
        if (end->held == NULL && !forward(other, end)) return false;
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end->ending = true;
    if ((events & EPOLLIN) != 0 || end->ending) return forward(end, other);
    return true;
}

static void prepare(struct End* end) {
    int on = 1;
    setsockopt(end->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = end};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, end->fd, &event) != 0) die("epoll_ctl");
}

static void accept_all(int listener) {
    int client;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct Pair* pair = calloc(1, sizeof *pair);
        if (pair == NULL) die("calloc");
        pair->client = (struct End){.fd = client, .pair = pair};
        pair->backend = (struct End){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .pair = pair};
        if (pair->backend.fd < 0) die("socket");
        if (connect(pair->backend.fd, (struct sockaddr*)&backend_address, sizeof backend_address) != 0 &&
            errno != EINPROGRESS)
            die("connect");
        prepare(&pair->client);
        prepare(&pair->backend);
    }
    if (errno != EAGAIN && errno != ECONNABORTED) die("accept4");
}

static struct sockaddr_in loopback(const char* port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(const char* port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = loopback(port);
    if (bind(fd, (struct sockaddr*)&address, sizeof address) != 0) die("bind");
    if (listen(fd, SOMAXCONN) != 0) die("listen");
    return fd;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: floor PORT BACKEND_PORT\n");
        return 2;
    }
    backend_address = loopback(argv[2]);
    int listener = listen_on(argv[1]);
    poller = epoll_create1(0);
    struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &accepting) != 0) die("epoll_ctl");

    for (;;) {
        struct epoll_event events[kBatch];
        int count = epoll_wait(poller, events, kBatch, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; ++i) {
            struct End* end = events[i].data.ptr;
            if (end == NULL)
                accept_all(listener);
            else if (!end->pair->closed && !serve(end, events[i].events))
                close_pair(end->pair);
        }
        free_closed();
    }
}
