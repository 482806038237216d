"""Certificate authorities and certificates, made by openssl's own commands where a test asks for them.

    ca = make_ca(tmp_path)
    shop = make_certificate(tmp_path / "certs", ["shop.example", "*.shop.example"], ca)
    shop.pem      chain and key in one file, as palier's `certificates` takes it
"""

import re
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from .environment import seconds

_KEYS = {
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    "rsa": ["-newkey", "rsa:2048"],
    "ed25519": ["-newkey", "ed25519"],
}

# What `openssl ca` asks for; it is the only command of OpenSSL 3.0 that lets a certificate begin when we say.
_CONFIGURATION = """
[req]
distinguished_name = subject
prompt = no
[subject]
{subject}
[ca]
default_ca = this
[this]
database = {database}/index.txt
new_certs_dir = {database}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = anything
email_in_dn = yes
[anything]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
emailAddress = optional
[extensions]
{extensions}
"""


@dataclass
class Certificate:
    """One certificate as files: `crt` (with the chain behind it) and `key`, and both in `pem` where it was asked for.

    Put together by `split` as NAME.crt + NAME.key, else as NAME.pem with the two others in a folder that palier
    does not look into."""
    pem: Path
    crt: Path
    key: Path

    @property
    def der(self) -> bytes:
        """The certificate itself, as a peer shows it: what Python's getpeercert(True) gives."""
        return ssl.PEM_cert_to_DER_cert(self.crt.read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n")

    def install(self, target: Path) -> Path:
        """Puts chain and key at `target` as one file by rename, as a careful renewal does."""
        beside = target.with_name(f".{target.name}.new")
        beside.write_bytes(self.pem.read_bytes())
        return beside.rename(target)


@dataclass
class Authority(Certificate):
    """A certificate that signs others. `crt` is what clients trust of a root; `database` is what `openssl ocsp`
    answers from; `chain` is what stands behind the certificates that it signs."""
    database: Path
    chain: bytes = b""


def make_ca(directory: Path, name: str = "ca", issuer: Authority | None = None, **options) -> Authority:
    """A root, or an intermediate of `issuer`, in directory/name; its subject is CN=palier test NAME."""
    database = directory / name
    database.mkdir(parents=True)
    (database / "index.txt").touch()
    authority = Authority(database / "ca.pem", database / "ca.crt", database / "ca.key", database)
    extensions = ["basicConstraints = critical, CA:true", "keyUsage = critical, keyCertSign, cRLSign, digitalSignature",
                  "subjectKeyIdentifier = hash"]
    options.setdefault("subject", {"CN": f"palier test {name}"})
    options.setdefault("days", 365)
    _issue(authority, extensions, issuer or authority, **options)
    if issuer is not None:
        authority.chain = authority.crt.read_bytes()
    return authority


def make_certificate(directory: Path, names: list[str], ca: Authority | None = None, key: str = "p256",
                     days: float = 90, not_before: float = -1, file: str | None = None, split: bool = False,
                     client: bool = False, subject: dict | None = None, alternative_names: bool = True) -> Certificate:
    """A certificate for `names` (host names, wildcards, addresses), self-signed without `ca`.

    It is valid from `not_before` to `days`, both in days from now: days=-1 with not_before=-10 has expired.
    `file` is the files' name without ending (default: the first name). `split` makes FILE.crt and FILE.key in
    `directory`; otherwise only FILE.pem is there, and FILE.crt and FILE.key are in directory/parts/apart.
    `subject` replaces CN=first name; `alternative_names=False` leaves only that.
    """
    stem = file or names[0].replace("*", "_")
    apart = directory if split else directory / "parts" / "apart"  # two levels down: out of palier's sight
    apart.mkdir(parents=True, exist_ok=True)
    made = Certificate(directory / f"{stem}.pem", apart / f"{stem}.crt", apart / f"{stem}.key")
    extensions = ["basicConstraints = CA:false", "keyUsage = digitalSignature",
                  f"extendedKeyUsage = {'clientAuth' if client else 'serverAuth'}"]
    if names and alternative_names:
        extensions.append("subjectAltName = " + ", ".join(map(_alternative_name, names)))
    if ca is None:
        with tempfile.TemporaryDirectory() as own:
            database = Path(own)
            (database / "index.txt").touch()
            _issue(made, extensions, Authority(made.pem, made.crt, made.key, database),
                   subject=subject or {"CN": names[0]}, key=key, days=days, not_before=not_before)
    else:
        _issue(made, extensions, ca, subject=subject or {"CN": names[0]}, key=key, days=days, not_before=not_before)
    if split:
        made.pem.unlink()
    return made


def revoke(certificate: Certificate, ca: Authority) -> None:
    """From now on the authority's OCSP responses call it revoked."""
    with tempfile.TemporaryDirectory() as scratch:
        openssl("ca", "-config", _configuration(Path(scratch), ca.database, {"CN": "x"}, []), "-revoke",
                certificate.crt, "-keyfile", ca.key, "-cert", ca.crt)


def ocsp_response(certificate: Certificate, ca: Authority, target: Path, minutes: int = 60) -> Path:
    """Writes the authority's signed OCSP response, fresh for `minutes` from now, to `target`."""
    beside = target.with_name(f".{target.name}.new")
    openssl("ocsp", "-index", ca.database / "index.txt", "-CA", ca.crt, "-rsigner", ca.crt, "-rkey", ca.key,
            "-issuer", ca.crt, "-cert", certificate.crt, "-nmin", minutes, "-no_nonce", "-noverify",
            "-respout", beside)
    return beside.rename(target)


def make_stale(staple: Path, ca: Authority) -> None:
    """Turns an OCSP response into one that was fresh some years ago, signed anew; `ca` must have an RSA key.

    No command of openssl does that, so its bytes are changed: the years of its dates, and the signature, which is as
    long as the old one because the key is RSA."""
    image = bytearray(staple.read_bytes())
    response = _Element(image, 0)
    basic = response.child(1).child(0).child(1).child(0)
    to_be_signed, signature = basic.child(0), basic.child(2)
    for date in re.finditer(rb"\x18\x0f(\d{4})\d{10}Z", image[:to_be_signed.end]):
        image[date.start(1):date.end(1)] = b"%04d" % (int(date[1]) - 3)
    with tempfile.TemporaryDirectory() as scratch:
        data, signed = Path(scratch) / "data", Path(scratch) / "signed"
        data.write_bytes(image[to_be_signed.start:to_be_signed.end])
        openssl("dgst", "-sha256", "-sign", ca.key, "-out", signed, data)
        image[signature.end - len(signed.read_bytes()):signature.end] = signed.read_bytes()
    staple.write_bytes(image)


class _Element:
    """One element of DER, as far as finding its children takes."""

    def __init__(self, image: bytearray, start: int):
        self.image, self.start = image, start
        size, self.content = image[start + 1], start + 2
        if size & 0x80:
            self.content += size & 0x7f
            size = int.from_bytes(image[start + 2:self.content], "big")
        self.end = self.content + size

    def child(self, number: int) -> "_Element":
        found = _Element(self.image, self.content)
        for _ in range(number):
            found = _Element(self.image, found.end)
        return found


def openssl(*arguments) -> str:
    """One openssl command that has to work; its stdout."""
    done = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=seconds(30))
    assert done.returncode == 0, f"openssl {' '.join(map(str, arguments))}:\n{done.stderr}"
    return done.stdout


def _issue(made: Certificate, extensions: list[str], issuer: Authority, subject: dict, key: str = "p256",
           days: float = 90, not_before: float = -1) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        request = Path(scratch) / "request.csr"
        leaf = Path(scratch) / "leaf.crt"
        configuration = _configuration(Path(scratch), issuer.database, subject, extensions)
        openssl("req", "-new", "-config", configuration, *_KEYS[key], "-noenc", "-keyout", made.key, "-out", request)
        by = ["-selfsign"] if issuer.key == made.key else ["-cert", issuer.crt]
        openssl("ca", "-batch", "-notext", "-config", configuration, *by, "-keyfile", issuer.key, "-in", request,
                "-extensions", "extensions", "-startdate", _date(not_before), "-enddate", _date(days), "-out", leaf)
        made.crt.write_bytes(leaf.read_bytes() + (b"" if issuer.key == made.key else issuer.chain))
    made.pem.write_bytes(made.crt.read_bytes() + made.key.read_bytes())


def _configuration(directory: Path, database: Path, subject: dict, extensions: list[str]) -> Path:
    path = directory / "openssl.cnf"
    path.write_text(_CONFIGURATION.format(database=database, extensions="\n".join(extensions),
                                          subject="\n".join(f"{name} = {value}" for name, value in subject.items())))
    return path


def _alternative_name(name: str) -> str:
    try:
        return f"IP:{ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def _date(days_from_now: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(days=days_from_now)).strftime("%Y%m%d%H%M%SZ")
