"""What is measured over TLS 1.3 (AES-128-GCM, X25519, a P-256 certificate), HTTP/2 included."""

from . import requests
from .loads import H2Load, Handshakes, Load, Wrk
from .protocol import Protocol
from .scenario import Scenario

_SMALL = ((requests.get("/128"),), 128)
_LARGE = ((requests.get("/100k"),), 100 * 1024)
_CLOSING = ((requests.closing(),), 128)


def _row(name: str, title: str, load: Load, **more) -> Scenario:
    return Scenario(name, title, load, floor=False, **more)


TLS_SCENARIOS = [
    _row("tls-keepalive", "TLS 1.3, keep-alive, 64 connections, 128 bytes", Wrk(64, *_SMALL, Protocol.HTTPS),
         quick=True),
    _row("tls-100k", "TLS 1.3, 100 KiB response, 64 connections", Wrk(64, *_LARGE, Protocol.HTTPS)),
    _row("tls-full", "TLS 1.3, a full handshake per request, 64 at a time",
         Handshakes(64, *_CLOSING, Protocol.HTTPS), closes=True),
    _row("tls-resumed", "TLS 1.3, a resumed handshake per request, 64 at a time",
         Handshakes(64, *_CLOSING, Protocol.HTTPS, resumed=True), closes=True),
    _row("h2-small", "HTTP/2, 16 connections × 32 streams, 128 bytes",
         H2Load(16, *_SMALL, Protocol.HTTP2, streams=32), quick=True),
    _row("h2-100k", "HTTP/2, 8 connections × 8 streams, 100 KiB response",
         H2Load(8, *_LARGE, Protocol.HTTP2, streams=8)),
]
