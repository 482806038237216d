"""h2o with one thread: where there is one server and one route."""

import json
import os
import subprocess
from pathlib import Path

from ..scenario import Scenario
from ..site import Site
from .peer import Peer


class H2o(Peer):
    name = "h2o"

    def __init__(self, program: str, descriptors: int):
        self._program = program
        self._connections = min(descriptors, 65_536) // 2 - 500

    def version(self) -> str:
        words = subprocess.run([self._program, "--version"], capture_output=True, text=True).stdout.split()
        return words[2] if len(words) > 2 else "unknown"

    def serves(self, scenario: Scenario) -> bool:
        return scenario.is_simple

    def command(self, site: Site, port: int, directory: Path) -> list:
        [address] = site.addresses()
        listen = {"host": "127.0.0.1", "port": port}
        if site.certificates:
            pem = str(site.certificates.default)
            listen["ssl"] = {"certificate-file": pem, "key-file": pem, "minimum-version": "TLSv1.3", "neverbleed": "OFF",
                             "ocsp-update-interval": 0}
        config = directory / "h2o.conf"
        # JSON is YAML too. The cipher of TLS 1.3 cannot be told: it takes what the client offers, which is only one.
        config.write_text(json.dumps({
            "num-threads": 1,
            **({"user": "root"} if os.geteuid() == 0 else {}),  # else nobody, who cannot enter the directory
            "max-connections": self._connections,
            "pid-file": str(directory / "h2o.pid"),
            "http1-request-timeout": 600,
            "http2-idle-timeout": 600,
            "proxy.timeout.keepalive": 600_000,
            "proxy.preserve-host": "ON",
            "proxy.emit-via-header": "OFF",
            "listen": listen,
            "hosts": {"default": {"paths": {"/": {"proxy.reverse.url": f"http://{address}"}}}},
        }, indent=1))
        return [self._program, "-c", config]
