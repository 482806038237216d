"""nghttpx with one worker: where there is one server and one route."""

import subprocess
from pathlib import Path

from ..scenario import Scenario
from ..site import Site
from .peer import Peer

_OPTIONS = """\
workers=1
frontend=127.0.0.1,{port}{tls}
backend={backend}
no-server-push=yes
add-x-forwarded-for=yes
no-via=yes
frontend-http2-read-timeout=600s
frontend-read-timeout=600s
frontend-keep-alive-timeout=600s
backend-read-timeout=600s
backend-keep-alive-timeout=600s
"""

_TLS = """
private-key-file={pem}
certificate-file={pem}
tls-min-proto-version=TLSv1.3
tls13-ciphers=TLS_AES_128_GCM_SHA256
ecdh-curves=X25519
tls-dyn-rec-warmup-threshold=0
no-ocsp=yes"""


class Nghttpx(Peer):
    name = "nghttpx"

    def __init__(self, program: str):
        self._program = program

    def version(self) -> str:
        words = subprocess.run([self._program, "--version"], capture_output=True, text=True).stdout.strip()
        return words.rpartition("/")[2]

    def serves(self, scenario: Scenario) -> bool:
        return scenario.is_simple

    def command(self, site: Site, port: int, directory: Path) -> list:
        [address] = site.addresses()
        tls = _TLS.format(pem=site.certificates.default) if site.certificates else ";no-tls"
        config = directory / "nghttpx.conf"
        config.write_text(_OPTIONS.format(port=port, backend=address.replace(":", ","), tls=tls))
        return [self._program, f"--conf={config}", "--log-level=ERROR"]
