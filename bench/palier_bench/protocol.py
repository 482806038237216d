"""What clients speak to the proxy."""

from enum import Enum


class Protocol(Enum):
    HTTP = "HTTP/1.1"
    HTTPS = "HTTP/1.1 over TLS"
    HTTP2 = "HTTP/2 over TLS"

    @property
    def secure(self) -> bool:
        return self is not Protocol.HTTP
