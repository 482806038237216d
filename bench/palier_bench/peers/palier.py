"""palier with one worker."""

import subprocess
from pathlib import Path

from ..certificates import DEFAULT_NAME
from ..site import Site
from .peer import Peer

_MAIN = """\
workers = 1
control_socket = ""
state_file = ""
admin = ""

[log]
level = "warning"
access = "off"

[timeouts]
client_idle = "600s"
server_idle = "600s"

[[listener]]
name = "{scheme}"
address = "127.0.0.1:{port}"
{tls}
[[pool]]
name = "web"
{health}
{servers}
{routes}
"""

_TLS = """\
[listener.tls]
certificates = ["{directory}"]
default = "{default}"
min_version = "1.3"
ciphersuites = "TLS_AES_128_GCM_SHA256"
groups = "X25519"
"""


class Palier(Peer):
    name = "palier"

    def __init__(self, program: Path):
        self._program = program

    def version(self) -> str:
        return subprocess.run([self._program, "version"], capture_output=True, text=True).stdout.strip()

    def command(self, site: Site, port: int, directory: Path) -> list:
        servers = "".join(f'[[pool.server]]\nname = "s{i}"\naddress = "{address}"\n'
                          for i, address in enumerate(site.addresses(), 1))
        routes = "".join(f'[[route]]\nhost = ["{host}"]\npath = "{prefix}"\npool = "web"\n'
                         for host, prefixes in site.routes() for prefix in prefixes)
        tls = ""
        if site.certificates:
            tls = _TLS.format(directory=site.certificates.directory, default=DEFAULT_NAME)
        health = f"[pool.health]\n{site.health}" if site.health else ""
        config = directory / "palier.toml"
        config.write_text(_MAIN.format(directory=directory, port=port, scheme=site.scheme, tls=tls,
                                       health=health, servers=servers, routes=routes or '[[route]]\npool = "web"\n'))
        return [self._program, "run", "-c", config]
