"""What is sent to a server, seen from its cable: also where the server is frozen and the packets are thrown away."""

import socket
import struct
import threading

from .namespaces import Machine
from .waiting import wait_for

_ETHERTYPE_IPV4 = 0x0800
_SO_TIMESTAMPNS = 35  # of <asm/socket.h>; the answer is a struct timespec, CLOCK_REALTIME
_SYN, _ACK = 0x02, 0x10
_HALF = 1 << 31  # of TCP's sequence numbers


class Visits:
    """When attempts to connect to a machine's port arrived there, and pieces of requests, each once: what TCP sends again
    is no visit. Times are of the wall clock, as in logs."""

    def __init__(self, machine: Machine, port: int):
        self.times: list[float] = []
        self._port = port
        self._sent: dict[int, int] = {}  # by the client's port: the sequence number that comes next
        with machine.inside():
            self._cable = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._cable.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._cable.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._cable.settimeout(0.05)
        # Bound to one protocol, it sees what arrives and not what leaves.
        self._cable.bind(("eth0", _ETHERTYPE_IPV4))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="visits")
        self._thread.start()

    def __enter__(self) -> "Visits":
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()
        self._cable.close()

    def after(self, moment: float) -> list[float]:
        return [time for time in self.times if time > moment]

    def wait(self, moment: float, count: int, timeout: float = 10.0) -> None:
        """Until there are `count` visits after `moment`."""
        wait_for(lambda: len(self.after(moment)) >= count, f"{count} visits", timeout)

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                packet, extra, _, _ = self._cable.recvmsg(256, 64)
            except TimeoutError:
                continue
            ((_, _, stamp),) = extra
            whole, part = struct.unpack("=qq", stamp)
            if self._is_visit(packet):
                self.times.append(whole + part / 1e9)

    def _is_visit(self, packet: bytes) -> bool:
        head = (packet[0] & 15) * 4
        if packet[9] != socket.IPPROTO_TCP or len(packet) < head + 20:
            return False
        source, destination, sequence = struct.unpack_from("!HHI", packet, head)
        if destination != self._port:
            return False
        flags = packet[head + 13]
        length = struct.unpack_from("!H", packet, 2)[0] - head - (packet[head + 12] >> 4) * 4
        if flags & _SYN and not flags & _ACK:
            again = self._sent.get(source) == sequence + 1
            self._sent[source] = sequence + 1
            return not again
        if length == 0:
            return False
        end = (sequence + length) % (2 * _HALF)
        known = self._sent.get(source, sequence)
        if not 0 < (end - known) % (2 * _HALF) < _HALF:
            return False
        self._sent[source] = end
        return True
