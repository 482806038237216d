"""TLS as clients and backends of palier speak it: Python's ssl on a RawClient, openssl s_client, sslscan."""

import re
import socket
import ssl
import subprocess
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

from .certificates import Certificate
from .environment import seconds
from .messages import MessageReader
from .raw_client import RawClient


def client_context(trusted: Certificate | None = None, alpn: list[str] | None = None,
                   certificate: Certificate | None = None) -> ssl.SSLContext:
    """`trusted`: who vouches for the server; without it, anybody will do. `certificate` is the client's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # tests say which certificate they expect
    if trusted is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(trusted.crt)
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    if certificate is not None:
        context.load_cert_chain(certificate.crt, certificate.key)
    return context


def server_context(certificate: Certificate, **options) -> ssl.SSLContext:
    """A backend's side. `options` are attributes of Python's SSLContext, such as num_tickets=0."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.crt, certificate.key)
    for name, value in options.items():
        setattr(context, name, value)
    return context


class TlsClient(RawClient):
    """A RawClient whose bytes are encrypted. `name`: what it asks for (SNI), None for nothing; `first`: bytes that go
    in plain before the handshake. The end of a connection counts as one only after close_notify: without it, reading
    raises ssl.SSLEOFError."""

    def __init__(self, port: int, name: str | None = "test.example", context: ssl.SSLContext | None = None,
                 session: ssl.SSLSession | None = None, first: bytes = b"", **options):
        super().__init__(port, **options)
        self.send(first)
        try:
            self.socket = (context or client_context()).wrap_socket(
                self.socket, server_hostname=name, session=session, suppress_ragged_eofs=False)
        except OSError:
            self.socket.close()
            raise
        self._reader = MessageReader(self.socket, record=False)

    @property
    def shown(self) -> bytes:
        """The server's certificate (DER): see Certificate.der."""
        return self.socket.getpeercert(True)

    @property
    def alpn(self) -> str | None:
        return self.socket.selected_alpn_protocol()

    @property
    def version(self) -> str:
        return self.socket.version()

    def cut(self) -> None:
        """FIN without close_notify, as an attacker between us and palier can make it."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def read_whatever(self) -> bytes:
        try:
            return super().read_whatever()
        except ssl.SSLError:
            return self.take_buffered()

    def ended_well(self) -> bool:
        """Reads on to the end; whether close_notify was there."""
        try:
            self.read_until_close()
        except ssl.SSLEOFError:
            return False
        return True

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def alert_of(failure: OSError) -> str:
    """The alert by which the peer ended a handshake, as RFC 8446 names it: unrecognized_name, protocol_version, …"""
    words = re.search(r"\] (?:tlsv\d+|sslv3)(?: alert)? ([a-z ]+)", str(failure))
    return words[1].strip().replace(" ", "_") if words else ""


@dataclass
class SClient:
    """What `openssl s_client` said."""
    exit_code: int
    text: str  # stdout and stderr together

    @property
    def connected(self) -> bool:
        """The handshake was completed."""
        return self.cipher not in ("", "(NONE)")

    @property
    def reused(self) -> bool:
        return re.search(r"^Reused, TLS", self.text, re.MULTILINE) is not None

    @property
    def version(self) -> str:
        return self._first(r"^(?:New|Reused), (TLSv[\d.]+)")

    @property
    def cipher(self) -> str:
        return self._first(r"^(?:New|Reused), .*Cipher is (\S+)")

    @property
    def alpn(self) -> str:
        """"" for none."""
        return self._first(r"^ALPN protocol: (\S+)")

    @property
    def alert(self) -> int | None:
        """The number of the alert that palier sent (RFC 8446 appendix B.2)."""
        number = self._first(r"SSL alert number (\d+)")
        return int(number) if number else None

    def shows(self, certificate: Certificate) -> bool:
        """Whether this was the server's certificate."""
        return certificate.crt.read_text().partition("-----END")[0] in self.text

    def _first(self, pattern: str) -> str:
        found = re.search(pattern, self.text, re.MULTILINE)
        return next((group for group in found.groups() if group), "") if found else ""


_CLOSING_GET = "GET / HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n"


def s_client(port: int, *options, name: str | None = "test.example", say: str = _CLOSING_GET,
             commands: str | None = None, timeout: float = 20.0) -> SClient:
    """One connection by openssl s_client, which says `say` and then reads until palier closes.

    With `commands` (lines such as "R", see s_client(1)) it obeys them instead, and has to end by itself."""
    sni = ["-noservername"] if name is None else ["-servername", name]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *sni, *map(str, options)]
    if commands is None:
        command.append("-ign_eof")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            if commands is None:
                text, _ = process.communicate(say.encode(), seconds(timeout))
            else:
                process.stdin.write(commands.encode())
                process.stdin.flush()  # and left open: its end would be a reason for s_client to end
                process.wait(seconds(timeout))
                text = process.stdout.read()
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return SClient(process.returncode, text.decode("latin-1"))


def sslscan(port: int, name: str, directory: Path) -> xml.Element:
    """What sslscan found, as the <ssltest> element of its report."""
    report = directory / "sslscan.xml"
    subprocess.run(["sslscan", f"--sni-name={name}", f"--timeout={int(seconds(5))}", f"--xml={report}",
                    f"127.0.0.1:{port}"], capture_output=True, check=True, timeout=seconds(120))
    found = xml.parse(report).getroot().find("ssltest")
    assert found is not None, report.read_text()
    return found


def client_hello(name: str = "test.example", context: ssl.SSLContext | None = None) -> bytes:
    """The first flight of a client, as bytes to do something to."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        (context or client_context()).wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()
