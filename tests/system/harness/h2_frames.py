"""HTTP/2's frames as bytes, and what came on one stream. Nothing here keeps a rule: the tests break them."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, HAS_PRIORITY = 0x4, 0x8, 0x20

# Identifiers in SETTINGS.
TABLE_SIZE, ENABLE_PUSH, STREAMS, INITIAL_WINDOW, FRAME_SIZE, LIST_SIZE, CONNECT_PROTOCOL = 1, 2, 3, 4, 5, 6, 8

Fields = list[tuple[str | bytes, str | bytes]]


class H2Error(IntEnum):
    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xa
    ENHANCE_YOUR_CALM = 0xb
    INADEQUATE_SECURITY = 0xc
    HTTP_1_1_REQUIRED = 0xd


def request_fields(method: str = "GET", path: str = "/", *more: tuple[str | bytes, str | bytes], scheme: str = "http",
                   authority: str = "test.example") -> Fields:
    """A request's fields in the order in which they have to come."""
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def data_frame(stream: int, data: bytes, end: bool = False, padding: int | None = None) -> bytes:
    flags = END_STREAM if end else 0
    if padding is not None:
        return frame(DATA, flags | PADDED, stream, bytes([padding]) + data + bytes(padding))
    return frame(DATA, flags, stream, data)


def settings_frame(settings: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack("!HI", *setting) for setting in settings.items()))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", increment))


def reset_frame(stream: int, error: int = H2Error.CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack("!I", error))


@dataclass
class H2Stream:
    """What came on one stream so far."""
    id: int
    status: int | None = None
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    informational: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)
    ended: bool = False            # by END_STREAM
    reset: H2Error | None = None   # by RST_STREAM
    size: int = 0                  # of the body, kept or not
    keep: bool = True              # the body's bytes
    held: bool = False             # its window is not opened again

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The only value of `name`, which is in lower case; a field that comes twice fails."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else default

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def take_data(self, data: bytes) -> None:
        self.size += len(data)
        if self.keep:
            self.body += data


def regular(fields) -> list[tuple[str, str]]:
    return [(name, value) for name, value in fields if not name.startswith(":")]


def error_of(code: int) -> H2Error | int:
    return H2Error(code) if code in H2Error._value2member_map_ else code
