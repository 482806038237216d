"""HAProxy with one thread."""

import subprocess
from pathlib import Path

from ..site import Site
from .peer import Peer

_MAIN = """\
global
    nbthread 1
    maxconn {connections}
    maxpipes {pipes}
    tune.bufsize 32768
    tune.pool-high-fd-ratio 100
    tune.pool-low-fd-ratio 100
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-bind-curves X25519

defaults
    mode http
    no log
    option http-keep-alive
    option splice-auto
    http-reuse always
    timeout connect 3s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s

frontend in
    bind 127.0.0.1:{port} backlog 4096{secure}
    option forwardfor
    http-request set-header X-Forwarded-Proto {scheme}
    {choice}

backend web
    balance roundrobin
    default-server pool-purge-delay 600s
{servers}
"""

_PIPES = 512


class Haproxy(Peer):
    name = "haproxy"

    def __init__(self, program: str, descriptors: int):
        self._program = program
        # It wants two descriptors for each connection and each pipe that it may have, and refuses to start without.
        self._connections = (min(descriptors, 65_536) - 500) // 2 - _PIPES

    def version(self) -> str:
        words = subprocess.run([self._program, "-v"], capture_output=True, text=True).stdout.split()
        return words[2] if len(words) > 2 else "unknown"

    def command(self, site: Site, port: int, directory: Path) -> list:
        choice = "default_backend web"
        if site.routes():
            routes = directory / "haproxy.map"
            routes.write_text("".join(f"{host}{prefix} web\n"
                                      for host, prefixes in site.routes() for prefix in prefixes))
            choice = f"use_backend %[base,map_beg({routes})]"
        # The first file of the directory, by name, is for clients that name no other.
        secure = f" ssl crt {site.certificates.directory} alpn h2,http/1.1" if site.certificates else ""
        config = directory / "haproxy.cfg"
        config.write_text(_MAIN.format(
            connections=self._connections, pipes=_PIPES, port=port, choice=choice, secure=secure, scheme=site.scheme,
            servers="\n".join(f"    server s{i} {address}" for i, address in enumerate(site.addresses(), 1))))
        return [self._program, "-db", "-f", config]
