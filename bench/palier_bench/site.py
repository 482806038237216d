"""What every proxy is configured to serve: the servers behind it, the routes to them, the certificates before it."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from .certificates import Certificates

_FIRST_SERVER = IPv4Address("127.0.0.1")


@dataclass(frozen=True)
class Site:
    """`servers` addresses of one backend program; `hosts` × `prefixes` routes, one for everything if both are 1.
    With `certificates` it is served over TLS, with HTTP/1.1 and HTTP/2, and one route for every name. `health`:
    palier's keys of [pool.health]; without, nobody is probed."""
    backend_port: int
    servers: int = 1
    hosts: int = 1
    prefixes: int = 1
    certificates: Certificates | None = None
    health: str = ""

    @property
    def scheme(self) -> str:
        return "https" if self.certificates else "http"

    def addresses(self) -> list[str]:
        return [f"{_FIRST_SERVER + i}:{self.backend_port}" for i in range(self.servers)]

    def routes(self) -> list[tuple[str, list[str]]]:
        """Each host with its path prefixes; empty: one route for everything."""
        if self.hosts * self.prefixes == 1:
            return []
        return [(host_name(h), [prefix(p) for p in range(self.prefixes)]) for h in range(self.hosts)]


def host_name(number: int) -> str:
    return f"shop{number}.example.com"


def prefix(number: int) -> str:
    return f"/part{number}/"
