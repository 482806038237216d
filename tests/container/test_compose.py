"""The site of packaging/compose in its life: weights, a front that dies, one that is replaced, a reload, palier's own
container replaced. All under load, and no request fails. And palier with little memory."""

import collections
import contextlib
import http.client
import os
import resource
import shutil
import socket
import subprocess

import pytest
from compose import Site
from engine import HARDENED, podman, status_of
from harness import Control, Wrk, curl, to_toml, wait_for

MIB = 1 << 20
MEMORY_MIB = 64
FRONTS = ("front1", "front2", "front3")
UPGRADES = 2


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if reason := os.environ.get("PALIER_NO_CONTAINERS"):
        pytest.skip(reason)
    for image in ("PALIER_FRONT_IMAGE", "PALIER_DATABASE_IMAGE"):
        if image not in os.environ:
            pytest.skip(f"{image} is not set: tests/container/run builds it")
    if shutil.which("podman-compose") is None:
        pytest.skip("podman-compose is missing")
    site = Site(tmp_path_factory.mktemp("compose"))
    try:
        site.palier = site.start()
        wait_for(lambda: status_of(f"http://{site.http}/") == 200 or not site.palier.running(), "an answer", 60, every=0.2)
        for front in FRONTS:
            site.wait_until_up(front)
        yield site
    finally:
        site.remove()


@contextlib.contextmanager
def load(site: Site, what: str):
    """Requests while the test does something, of which none may fail."""
    with Wrk(f"http://{site.http}/", longest=120, paced=True) as wrk:
        yield
        result = wrk.stop()
    print(f"\n{what}: {result.requests} requests, {result.failures} failed")
    assert result.failures == 0 and result.requests > 100, result.text + site.palier.log()


def answers(site: Site, count: int) -> collections.Counter:
    """By whom so many requests were answered, "NAME ADDRESS"."""
    seen = collections.Counter()
    with contextlib.closing(http.client.HTTPConnection(site.http, timeout=30)) as connection:
        for _ in range(count):
            connection.request("GET", "/")
            seen[connection.getresponse().read().decode().strip()] += 1
    return seen


def shares(site: Site, count: int) -> list[int]:
    by_name = collections.Counter()
    for who, number in answers(site, count).items():
        by_name[who.split()[0]] += number
    return [by_name[front] for front in FRONTS]


def test_weights_names_and_what_is_watched(site):
    assert shares(site, 400) == pytest.approx([200, 100, 100], abs=4)
    secure = curl(f"https://{site.https}/", "--insecure")
    assert (secure.status, secure.body[:5]) == (200, b"front")
    web, db = site.ctl("pools")["pools"]
    assert [server["local"] for server in web["servers"]] == [True] * 3  # by ${NODE_NAME}
    wait_for(lambda: site.ctl("pools")["pools"][1]["servers"][0]["health"] == "up", "the database up", 60, every=0.2)
    assert db["servers"][0]["name"] == "database"
    for container in (site.palier, site.service("front1"), site.service("database")):
        refused = container.exec("touch", "/etc/x", check=False)
        assert refused.returncode != 0 and "Read-only" in refused.stderr


def test_podman_starts_palier_as_compose_would(site):
    assert site.options() == site.options_of_compose()
    compose, image = site.health_checks()
    assert compose == image and podman("healthcheck", "run", site.palier.id).returncode == 0


def test_a_certificate_near_its_end_is_made_anew(site):
    pem = site.volume("certificates") / "localhost.pem"
    before = pem.read_text()
    site.start_again("certificate")
    assert pem.read_text() == before
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", pem, "-out", pem], check=True, capture_output=True)
    site.start_again("certificate")
    lasts = subprocess.run(["openssl", "x509", "-noout", "-checkend", str(300 * 86400), "-in", pem], capture_output=True)
    assert lasts.returncode == 0 and pem.stat().st_gid == 10001
    assert curl(f"https://{site.https}/", "--insecure").status == 200


def test_a_front_dies_and_comes_back_elsewhere(site):
    with load(site, "a front killed, and another container in its place"):
        site.service("front2").signal("KILL")
        wait_for(lambda: site.ctl("pools web")["pools"][0]["servers"][1]["health"] == "down", "front2 down", 60, every=0.2)
        address = site.replace("front2")
        site.wait_until_up("front2", address)
    assert answers(site, 40)[f"front2 {address}"] == pytest.approx(10, abs=2)


def test_a_front_is_replaced_with_drain(site):
    with load(site, "a front drained, its container replaced, enabled"):
        site.ctl("drain web/front3 wait=30s")
        address = site.replace("front3")
        site.wait_until_up("front3", address)
        assert not any(who.startswith("front3") for who in answers(site, 40))
        site.ctl("enable web/front3")
    assert answers(site, 40)[f"front3 {address}"] == pytest.approx(10, abs=2)


def test_reload(site):
    path = site.folder / "palier/palier.toml"
    with load(site, "a reload with other weights"):
        path.write_text(path.read_text().replace("200", "700"))
        site.ctl("reload")
    assert shares(site, 180) == pytest.approx([140, 20, 20], abs=4)


def test_palier_is_replaced(site):
    """By README.md's commands."""
    seen = {site.palier.state(".ID")}
    with load(site, f"{UPGRADES} containers of palier, each taking over from the one before"):
        for _ in range(UPGRADES):
            site.palier = site.upgrade()
            seen.add(site.palier.state(".ID"))
    assert len(seen) == UPGRADES + 1
    assert podman("healthcheck", "run", site.palier.id).returncode == 0
    assert site.palier.running() and site.ctl("status")["ready"]
    assert shares(site, 180) == pytest.approx([140, 20, 20], abs=4)


def test_little_memory_and_thousands_of_clients(containers, tmp_path):
    """More than there is room for, and still more: who idles is closed, then nobody is let in and what has not arrived is
    refused. palier lives, and serves again by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    idle = min(5000, hard // 2 - 1000)
    if idle < 1000:
        pytest.skip(f"{hard} open files are too few for this test")
    tmp_path.chmod(0o755)
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 10001, 10001)
    config = {"log": {"access": "off"}, "listener": [{"name": "http", "address": "0.0.0.0:8080"}],
              "route": [{"respond": {"code": 200}}], "timeouts": {"client_header": "120s", "client_idle": "120s"}}
    (tmp_path / "palier.toml").write_text(to_toml(config))
    (tmp_path / "palier.toml").chmod(0o644)
    try:
        container = containers("--memory", f"{MEMORY_MIB}m", "--publish", "127.0.0.1::8080", *HARDENED,
                               "--volume", f"{tmp_path}:/etc/palier:ro", "--volume", f"{tmp_path}/run:/run/palier")
    except AssertionError as error:
        if "cgroup" not in str(error).lower():
            raise
        pytest.skip(f"no limits of memory for containers here: {error}")
    host, _, port = container.published().removeprefix("http://").partition(":")
    url = f"http://{host}:{port}/"
    wait_for(lambda: status_of(url) == 200 or not container.running(), "an answer", 60, every=0.2)

    def memory() -> dict:
        with Control(tmp_path / "run/control.sock", timeout=60) as control:
            return control.do("status")["memory"]

    def connect(request: bytes, timeout: float = 60) -> socket.socket:
        clients.append(socket.create_connection((host, int(port)), timeout=timeout))
        clients[-1].sendall(request)
        return clients[-1]

    begun = memory()
    assert begun["limit"] == MEMORY_MIB << 20, "the container's limit is not seen: " + container.log()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients: list[socket.socket] = []
    try:
        for _ in range(idle):
            connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        told = memory()
        print(f"\n{idle} idle clients in {MEMORY_MIB} MiB: {told['used'] / MIB:.1f} MiB, {begun['used'] / MIB:.1f} before")

        # Heads that do not end hold memory that palier cannot give back.
        while memory()["refused"] == 0 and len(clients) < min(hard - 500, idle + 8000):
            for _ in range(10):
                with contextlib.suppress(OSError):  # while nobody is let in
                    connect(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 24_000, timeout=2)
        told = memory()
        unfinished = clients[idle:]
        print(f"{len(unfinished)} unfinished heads later: {told}")
        assert told["refused"] > 0, told
        wait_for(lambda: status_of(url) == 200, "an answer with all of them there", 60, every=0.2)
        wait_for(lambda: memory()["pressure"] == "none", "the end of the shortage", 60, every=0.2)
        closed = sum(received(client) == b"" for client in clients[:idle])
        refusals = [text for client in unfinished if (text := received(client))]
        told = memory()
        print(f"{closed} idle clients are closed, {len(refusals)} unfinished heads are refused, {told}")
        assert told["shortages"] >= 1 and told["closed_idle"] >= closed >= idle // 20, told
        assert refusals and all(text.startswith(b"HTTP/1.1 503") and b"\r\nretry-after:" in text.lower() for text in refusals)
        assert told["refused"] >= len(refusals)
        for client in clients:
            client.close()
        wait_for(lambda: memory()["used"] < begun["used"] + 12 * MIB, "the memory given back", 60, every=0.2)
        told = memory()
        print(f"all of them gone: {told['used'] / MIB:.1f} MiB")
        assert container.running() and not container.state(".State.OOMKilled")
        log = container.log()
        assert "idle connections are closed" in log and "nobody is let in" in log, log
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def received(client: socket.socket) -> bytes | None:
    """What there is; b"" once it is closed, None while there is nothing."""
    client.setblocking(False)
    try:
        return client.recv(4096)
    except BlockingIOError:
        return None
    except OSError:
        return b""
