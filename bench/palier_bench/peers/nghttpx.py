"""nghttpx with one worker: over TLS only, where HTTP/2 is what it is made for."""

import subprocess
from pathlib import Path

from ..scenario import Scenario
from ..site import Site
from .peer import Peer

_OPTIONS = """\
workers=1
frontend=127.0.0.1,{port}
{backends}
private-key-file={pem}
certificate-file={pem}
tls-min-proto-version=TLSv1.3
tls13-ciphers=TLS_AES_128_GCM_SHA256
ecdh-curves=X25519
tls-dyn-rec-warmup-threshold=0
no-ocsp=yes
no-server-push=yes
add-x-forwarded-for=yes
no-via=yes
frontend-http2-read-timeout=600s
frontend-read-timeout=600s
frontend-keep-alive-timeout=600s
backend-read-timeout=600s
backend-keep-alive-timeout=600s
"""


class Nghttpx(Peer):
    name = "nghttpx"

    def __init__(self, program: str):
        self._program = program

    def version(self) -> str:
        words = subprocess.run([self._program, "--version"], capture_output=True, text=True).stdout.strip()
        return words.rpartition("/")[2]

    def serves(self, scenario: Scenario) -> bool:
        return scenario.load.protocol.secure

    def command(self, site: Site, port: int, directory: Path) -> list:
        config = directory / "nghttpx.conf"
        config.write_text(_OPTIONS.format(
            port=port, pem=site.certificates.default,
            backends="\n".join(f"backend={address.replace(':', ',')}" for address in site.addresses())))
        return [self._program, f"--conf={config}", "--log-level=ERROR"]
