"""The PROXY protocol in front of palier: the client's address as a balancer tells it, believed only where it may be."""

import socket
import struct

import pytest
from harness import server, site

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def version_2(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(payload)) + payload


def addresses(family: int, source: str, destination: str) -> bytes:
    return socket.inet_pton(family, source) + socket.inet_pton(family, destination) + struct.pack("!HH", 4711, 443)


TLV = b"\x04\x00\x03abc"
HEADERS = {
    "v1-tcp4": (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", "203.0.113.7"),
    "v1-tcp6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v2-tcp4": (version_2(1, 0x11, addresses(socket.AF_INET, "203.0.113.7", "192.0.2.1")), "203.0.113.7"),
    "v2-tcp6": (version_2(1, 0x21, addresses(socket.AF_INET6, "2001:db8::7", "2001:db8::1")), "2001:db8::7"),
    "v2-tlv": (version_2(1, 0x11, addresses(socket.AF_INET, "203.0.113.7", "192.0.2.1") + TLV), "203.0.113.7"),
    "v2-local": (version_2(0, 0x00, b""), "127.0.0.1"),
}


@pytest.fixture
def behind_a_balancer(raw_backend, start_palier):
    """palier whose listener expects the PROXY protocol, and its backend: (palier, backend)."""
    def start(mode: str, trusted: str = "127.0.0.0/8"):
        backend = raw_backend()
        config = site([server("a", backend.address)], trusted_proxies=[trusted])
        config["listener"][0]["proxy_protocol"] = mode
        return start_palier(config), backend

    return start


@pytest.mark.parametrize("header, client_address", HEADERS.values(), ids=HEADERS)
def test_address_is_taken_over(behind_a_balancer, header, client_address):
    palier, backend = behind_a_balancer("required")
    with palier.connect() as client:
        for _ in range(2):  # the header begins the connection, not each request
            assert client.send(header + GET).read_response().status == 200
            header = b""
    assert [request.get("X-Forwarded-For") for request in backend.requests] == [client_address] * 2
    assert [line["client"] for line in palier.wait_access_log(2)] == [client_address] * 2


@pytest.mark.parametrize("header, client_address", HEADERS.values(), ids=HEADERS)
def test_header_may_come_byte_by_byte(behind_a_balancer, header, client_address):
    palier, backend = behind_a_balancer("optional")
    with palier.connect() as client:
        assert client.send_bytewise(header + GET).read_response().status == 200
    assert backend.requests[0].get("X-Forwarded-For") == client_address


def test_client_behind_the_balancer_is_not_trusted_itself(behind_a_balancer):
    palier, backend = behind_a_balancer("required")
    with palier.connect() as client:
        client.send(HEADERS["v1-tcp4"][0] + b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
        assert client.read_response().status == 200
    assert backend.requests[0].get("X-Forwarded-For") == "203.0.113.7"


def test_optional_header_may_be_missing(behind_a_balancer):
    palier, backend = behind_a_balancer("optional")
    assert palier.get().status == 200
    assert backend.requests[0].get("X-Forwarded-For") == "127.0.0.1"


def test_required_header_must_come(behind_a_balancer):
    palier, backend = behind_a_balancer("required")
    with palier.connect() as client:
        assert b" 200 " not in client.send(GET).read_whatever()
    assert backend.accepted == 0


@pytest.mark.parametrize("mode", ["off", "optional", "required"])
def test_header_of_a_stranger_is_not_believed(behind_a_balancer, mode):
    palier, backend = behind_a_balancer(mode, trusted="192.0.2.0/24")
    with palier.connect() as client:
        assert b" 200 " not in client.send(HEADERS["v1-tcp4"][0] + GET).read_whatever()
    assert backend.accepted == 0


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 99999\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
    b"PROXY TCP9 203.0.113.7 192.0.2.1 4711 443\r\n",
    b"PROXY " + b"x" * 200,
    version_2(1, 0x11, b"short"),
    SIGNATURE + b"\x31\x11\x00\x00",
    SIGNATURE + b"\x21\x11\xff\xff",
])
def test_malformed_header_ends_the_connection(behind_a_balancer, header):
    palier, backend = behind_a_balancer("optional")
    with palier.connect() as client:
        assert b" 200 " not in client.send(header + GET).read_whatever()
    assert backend.accepted == 0
