"""As much of an HTTP/2 client as it takes to check answers: one stream at a time, no header compression of its own."""

import socket

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 0x1
_END_HEADERS, _PADDED, _PRIORITY = 0x4, 0x8, 0x20
_INITIAL_WINDOW_SIZE = 4
_WINDOW = 16 * 1024 * 1024  # larger than any body that is fetched
# RFC 7541, appendix A: fields of the static table that are sent, and received, as their index alone.
_GET, _HTTPS = b"\x82", b"\x87"
_STATUS = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


class Http2Connection:
    """Speaks over a connected socket that it does not own. Raises OSError when the server breaks off."""

    def __init__(self, connection: socket.socket):
        self._socket = connection
        self._buffer = b""
        self._stream = -1
        settings = _INITIAL_WINDOW_SIZE.to_bytes(2) + _WINDOW.to_bytes(4)
        self._socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, settings)
                             + _frame(_WINDOW_UPDATE, 0, 0, (_WINDOW - 65_535).to_bytes(4)))

    def get(self, path: str) -> tuple[int, bytes]:
        """The status, 0 if it is not one of the static table, and the body."""
        self._stream += 2
        head = _GET + _HTTPS + _literal(4, path.encode()) + _literal(1, b"shop.example.com")
        self._socket.sendall(_frame(_HEADERS, _END_STREAM | _END_HEADERS, self._stream, head))
        status, body, received = 0, [], 0
        while True:
            kind, flags, stream, payload = self._receive()
            received += len(payload) if kind == _DATA else 0
            if stream == self._stream and kind == _HEADERS:
                status = status or _status(_content(flags, payload))
            elif stream == self._stream and kind == _DATA:
                body.append(_content(flags, payload))
            if stream == self._stream and kind in (_HEADERS, _DATA) and flags & _END_STREAM:
                break
        if received:
            self._socket.sendall(_frame(_WINDOW_UPDATE, 0, 0, received.to_bytes(4)))
        return status, b"".join(body)

    def _receive(self) -> tuple[int, int, int, bytes]:
        """The next frame; those that are about the connection have been dealt with."""
        head = self._take(9)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:]) & 0x7FFF_FFFF
        payload = self._take(int.from_bytes(head[:3]))
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._socket.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _GOAWAY:
            raise ConnectionError(f"GOAWAY, error {int.from_bytes(payload[4:8])}")
        elif kind == _RST_STREAM and stream == self._stream:
            raise ConnectionError(f"stream reset, error {int.from_bytes(payload)}")
        return kind, flags, stream, payload

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            received = self._socket.recv(65_536)
            if not received:
                raise ConnectionError("the server closed the connection")
            self._buffer += received
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _literal(name_index: int, value: bytes) -> bytes:
    """A field without indexing, its name from the static table; RFC 7541, section 6.2.2. The value is short."""
    return bytes([name_index, len(value)]) + value


def _content(flags: int, payload: bytes) -> bytes:
    """A frame's payload without padding and priority."""
    if flags & _PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if flags & _PRIORITY else payload


def _status(block: bytes) -> int:
    """Of the first field of a header block, which may begin with changes of the table's size."""
    while block and block[0] & 0xE0 == 0x20:
        long = block[0] & 0x1F == 0x1F
        block = block[1:]
        while long:
            long, block = bool(block[0] & 0x80), block[1:]
    return _STATUS.get(block[0], 0) if block else 0
