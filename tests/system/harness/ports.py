"""Free TCP ports, and who listens."""

import os
import random
import socket
import struct

# Below the kernel's range for outgoing connections, so that none of those takes a port between
# our look and the bind of the program that we give it to. Test processes side by side (pytest -n) share it out.
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_SHARE = 22_000 // _PROCESSES
_FIRST = 10_000 + _SHARE * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_LAST = _FIRST + _SHARE - 1
_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, never the same twice in one run."""
    while True:
        port = random.randint(_FIRST, _LAST)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        _given.add(port)
        return port


def listening_sockets(port: int) -> int:
    """How many TCP sockets listen on `port`, over IPv4 and IPv6, found without connecting to them.

    Asks the kernel for listening sockets only (sock_diag(7)); /proc/net/tcp takes long where connections abound."""
    return sum(_count_listening(family, port) for family in (socket.AF_INET, socket.AF_INET6))


def is_listening(port: int) -> bool:
    return listening_sockets(port) > 0


_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, _DONE, _ERROR = 4, 20, 0x301, 3, 2
_LISTEN = 1 << 10  # TCP_LISTEN in a set of states


def _count_listening(family: int, port: int) -> int:
    body = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, _LISTEN) + bytes(48)
    header = struct.pack("=IHHII", 16 + len(body), _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 1, 0)
    count = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.send(header + body)
        while True:
            answer = kernel.recv(65536)
            while answer:
                length, kind = struct.unpack_from("=IH", answer)
                if kind in (_DONE, _ERROR):
                    return count
                (source_port,) = struct.unpack_from("!H", answer, 20)
                count += source_port == port
                answer = answer[(length + 3) & ~3:]
