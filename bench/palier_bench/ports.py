"""Free TCP ports of the loopback address."""

import random
import socket
from pathlib import Path

_FIRST = 10_000
_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, below the kernel's range for outgoing connections, which the load will use up."""
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    last = outgoing - 1 if outgoing > _FIRST + 1000 else 65_535
    while True:
        port = random.randint(_FIRST, last)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def listens(port: int) -> bool:
    """Whether somebody listens on the port, seen without a connection that a proxy would have to serve."""
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[3] == "0A" and columns[1].endswith(wanted):
            return True
    return False
