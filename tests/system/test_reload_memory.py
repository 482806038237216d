"""What reloads cost: a thousand of them no memory, a large one no time of those who serve, certificates that are in use no
second reading."""

import base64
import re
import threading
import time
from pathlib import Path

from harness import (
    SANITIZED, Palier, free_port, make_certificate, route, seconds, server, site, tls_listener, to_toml)

RELOADS = 30 if SANITIZED else 1_000
ROUTES = 500 if SANITIZED else 10_000
IDLE_SHARE = 0.0001  # of a CPU, for a worker that only looks at its timers
CERTIFICATES = 500 if SANITIZED else 5_000


def cpu_seconds(palier: Palier) -> dict[str, float]:
    """What each thread has spent on a CPU so far, by its id; the first is the control thread."""
    threads = sorted(Path(f"/proc/{palier.pid}/task").iterdir(), key=lambda thread: int(thread.name))
    return {thread.name: int((thread / "schedstat").read_text().split()[0]) / 1e9 for thread in threads}


def control_seconds(palier: Palier) -> float:
    return cpu_seconds(palier)[str(palier.pid)]


def bytes_read(palier: Palier) -> int:
    """What all of palier has read from files and sockets, ever."""
    return int(re.search(r"rchar: (\d+)", Path(f"/proc/{palier.pid}/io").read_text())[1])


class SteadyClient:
    """Asks some hundred times a second, on one connection; keeps the longest wait."""

    def __init__(self, palier: Palier):
        self.requests, self.worst = 0, 0.0
        self.failures: list[str] = []
        self._palier = palier
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="steady client")
        self._thread.start()

    def __enter__(self) -> "SteadyClient":
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        try:
            with self._palier.connect() as client:
                while not self._ended.wait(0.003):
                    began = time.monotonic()
                    status = client.request("GET", "/").status
                    self.worst = max(self.worst, time.monotonic() - began)
                    self.requests += 1
                    if status != 200:
                        self.failures.append(str(status))
        except Exception as error:  # noqa: BLE001 - it is the test's, in another thread
            self.failures.append(repr(error))


def test_memory_after_a_thousand_reloads(raw_backend, start_palier):
    """Two files in turn, of which one has a listener, a pool, a route and a server more and another weight."""
    front = raw_backend().address
    one = site([server("a", front), server("b", front)], workers=2, log={"access": "off"})
    palier = start_palier(one)
    other = one | {
        "listener": [*one["listener"], {"name": "more", "address": f"127.0.0.1:{free_port()}"}],
        "pool": [{"name": "web", "server": [server("a", front, weight=7), server("c", front), server("b", front)]},
                 {"name": "shop", "server": [server("s", front)]}],
        "route": [route("web"), route("shop", host=["shop.example"], path="/")]}
    texts = [to_toml(other), to_toml(one)]
    resident = {}
    with SteadyClient(palier) as client, palier.control() as control:
        for count in range(1, RELOADS + 1):
            palier.config_path.write_text(texts[(count - 1) % 2])
            changes = control.do("reload")["changes"]
            assert count == 1 or "listener more" in changes["added" if count % 2 else "removed"], changes
            if count in (10, RELOADS):
                resident[count] = palier.resident()
    assert not client.failures and client.requests > 10, client.failures
    print(f"resident after 10 reloads {resident[10] / 1024:.0f} KiB, after {RELOADS} {resident[RELOADS] / 1024:.0f} KiB; "
          f"{client.requests} requests meanwhile, the longest took {client.worst * 1000:.1f} ms")
    assert SANITIZED or resident[RELOADS] <= resident[10] * 1.02, resident


def test_ten_thousand_routes(raw_backend, start_palier):
    """Loading them is the work of a thread that gives way to all others. What is left to the control thread and to the
    workers is measured by their CPU time, of which a busy machine takes none."""
    front = raw_backend().address

    def routes(path: str) -> list[dict]:
        return [route("web"), *(route("web", host=[f"shop{i}.example"], path=path) for i in range(ROUTES))]

    def reload(path: str) -> dict[str, float]:
        palier.config_path.write_text(to_toml(config | {"route": routes(path)}))
        before, began = cpu_seconds(palier), time.monotonic()
        changes = control.do("reload")["changes"]
        spent = {thread: now - before[thread] for thread, now in cpu_seconds(palier).items() if thread in before}
        idle = (time.monotonic() - began) * IDLE_SHARE
        assert changes["added"][0].endswith(f"{path} to pool web") and len(changes["removed"]) > 1, changes["added"][:3]
        return {thread: time - idle for thread, time in spent.items()}

    config = site([server("a", front)], log={"access": "off"}, route=routes("/"))
    palier = start_palier(config)
    with palier.control(timeout=60) as control:
        control_thread, *others = reload("/other/").values()
        with SteadyClient(palier) as client:
            reload("/else/")
    print(f"{ROUTES} routes: {control_thread * 1000:.1f} ms of the control thread, {max(others) * 1000:.1f} ms of any other; "
          f"{client.requests} requests meanwhile, the longest took {client.worst * 1000:.1f} ms")
    assert control_thread < seconds(1) and max(others) < seconds(0.01), (control_thread, others)
    assert not client.failures and client.requests > 10 and client.worst < seconds(1), (client.worst, client.failures)


def many_certificates(folder: Path, count: int) -> int:
    """As many in `folder`, in bytes. They have one key and the signature of the first, in which nobody is interested but
    clients; making thousands of whole ones would take minutes."""
    first = make_certificate(folder, ["00000.test.example"])
    key = first.key.read_text()
    first.pem.unlink()
    size = 0
    for number in range(count):
        der = base64.encodebytes(first.der.replace(b"00000.test", b"%05d.test" % number)).decode()
        text = f"-----BEGIN CERTIFICATE-----\n{der}-----END CERTIFICATE-----\n{key}"
        (folder / f"{number:05}.pem").write_text(text)
        size += len(text)
    return size


def test_certificates_are_not_read_again(raw_backend, start_palier, certs):
    size = many_certificates(certs, CERTIFICATES)
    front = raw_backend().address
    secure = tls_listener(certs)
    config = site([server("a", front)], listener=[{"name": "http", "address": f"127.0.0.1:{free_port()}"}, secure])
    palier = start_palier(config)
    with palier.control(timeout=60) as control:
        assert len(control.do("certificates")["certificates"]) == CERTIFICATES
        assert bytes_read(palier) >= size, "this measure sees nothing"
        # Also where the listener itself is another one.
        for change in ({}, {"timeouts": {"server": "31s"}}, {"listener": [config["listener"][0], secure | {"hsts": {"max_age": "1h"}}]}):
            palier.config_path.write_text(to_toml(config | change))
            read, cpu = bytes_read(palier), control_seconds(palier)
            assert (control.do("reload")["changes"]["changed"] != []) == bool(change)
            read, cpu = bytes_read(palier) - read, control_seconds(palier) - cpu
            print(f"{CERTIFICATES} certificates of {size} bytes: a reload read {read} and took {cpu:.2f} s of the control "
                  "thread")
            assert read < size / 20
