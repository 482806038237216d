"""A client of HTTP/2 that sends exactly the frames that a test makes."""

import ssl
import struct
from typing import Callable

import hpack

from .h2_client import H2Peer
from .h2_frames import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM,
                        SETTINGS, WINDOW_UPDATE, Fields, H2Stream, error_of, frame, regular, request_fields,
                        settings_frame, window_update)


class RawH2Client(H2Peer):
    """A client that sends any frames, in any order, and takes anything. It answers SETTINGS and PING unless told
    not to, and opens windows only as far as a test says."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, name: str = "test.example",
                 settings: dict[int, int] | None = None, greet: bool = True, answers: bool = True,
                 receive_buffer: int | None = None):
        super().__init__(port, tls, name, receive_buffer)
        self.answers = answers
        self.encoder = hpack.Encoder()
        self._decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self._buffer = bytearray()
        self._block = b""
        self.settings: dict[int, int] | None = None  # palier's, once they have come
        self.settings_acknowledged = 0
        self.pings_answered = 0
        self.windows: dict[int, int] = {0: 65535}    # what it lets us send beyond the initial ones
        self.replenish = 0                           # window opened again once so much was taken; 0: never
        self._taken: dict[int, int] = {}
        if greet:
            self.send(PREFACE + settings_frame(settings or {}))

    def open(self, fields: Fields, end: bool = True, keep: bool = True, held: bool = False, extra: bytes = b"",
             flags: int = END_HEADERS) -> H2Stream:
        """Sends a head on a new stream, and `extra` with it in one piece."""
        stream = self.new_stream(keep, held)
        self.send(self.headers_frame(stream.id, fields, end, flags) + extra)
        return stream

    def headers_frame(self, stream: int, fields: Fields, end: bool = True, flags: int = END_HEADERS) -> bytes:
        return frame(HEADERS, flags | (END_STREAM if end else 0), stream, self.encoder.encode(fields))

    def get(self, path: str = "/", timeout: float = 10.0) -> H2Stream:
        return self.finish(self.open(request_fields("GET", path)), timeout)

    def flood(self, make: Callable[[int], bytes], most: int, batch: int = 20) -> None:
        """Sends make(0), make(1), … until the connection ends or is told to, or `most` were sent. A flood that is let
        through fails."""
        sent = 0
        while sent < most and not self.goaways and not self.closed:
            try:
                self.send(b"".join(make(number) for number in range(sent, sent + batch)))
            except (ConnectionError, TimeoutError, ssl.SSLError):
                break
            sent += batch
            while self.poll():
                pass
        self.wait(lambda: self.closed or self.goaways, f"an end to the flood after {sent}")

    def _take(self, data: bytes) -> None:
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= 9:
            length = int.from_bytes(self._buffer[at:at + 3], "big")
            if len(self._buffer) - at < 9 + length:
                break
            kind, flags, number = struct.unpack_from("!BBI", self._buffer, at + 3)
            payload = bytes(self._buffer[at + 9:at + 9 + length])
            at += 9 + length
            self._note(kind, flags, number & 0x7fffffff, payload)
        del self._buffer[:at]

    def _note(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self.streams.get(number)
        if kind == SETTINGS and flags & ACK:
            self.settings_acknowledged += 1
        elif kind == SETTINGS:
            self.settings = dict(struct.iter_unpack("!HI", payload))
            self._answer(frame(SETTINGS, ACK))
        elif kind == PING and flags & ACK:
            self.pings_answered += 1
        elif kind == PING:
            self._answer(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            last, error = struct.unpack_from("!II", payload)
            self.goaways.append((error_of(error), last & 0x7fffffff))
        elif kind == WINDOW_UPDATE:
            self.windows[number] = self.windows.get(number, 0) + int.from_bytes(payload, "big")
        elif kind == RST_STREAM and stream is not None:
            stream.reset = error_of(int.from_bytes(payload, "big"))
        elif kind in (HEADERS, CONTINUATION):
            self._block = payload if kind == HEADERS else self._block + payload
            if flags & END_HEADERS:
                fields = self._decoder.decode(self._block, raw=True)
                self._note_fields(stream, [(_text(name), _text(value)) for name, value in fields])
        elif kind == DATA and stream is not None:
            stream.take_data(payload)
            self._replenish(stream, len(payload))
        if kind in (DATA, HEADERS) and flags & END_STREAM and stream is not None:
            stream.ended = True

    def _note_fields(self, stream: H2Stream | None, fields: list[tuple[str, str]]) -> None:
        if stream is None:
            return
        status = int(dict(fields).get(":status", 0))
        if 100 <= status < 200:
            stream.informational.append((status, regular(fields)))
        elif status:
            stream.status, stream.fields = status, regular(fields)
        else:
            stream.trailers = fields

    def _replenish(self, stream: H2Stream, size: int) -> None:
        if self.replenish == 0:
            return
        for number in (0,) if stream.held else (0, stream.id):
            taken = self._taken[number] = self._taken.get(number, 0) + size
            if taken >= self.replenish:
                self._taken[number] = 0
                self._answer(window_update(number, taken))

    def _answer(self, data: bytes) -> None:
        if not self.answers:
            return
        try:
            self.send(data)
        except (ConnectionError, ssl.SSLError):
            pass  # it may have closed by now; the next read tells


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
