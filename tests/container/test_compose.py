"""The site of packaging/compose in its life: weights, a front that dies, one that is replaced, a reload, palier's own
container replaced. All under load, and no request fails. And palier with little memory."""

import collections
import contextlib
import http.client
import os
import resource
import shutil
import socket

import pytest
from compose import Site
from engine import HARDENED, status_of
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
    with load(site, f"{UPGRADES} containers of palier, each taking over from the one before"):
        for _ in range(UPGRADES):
            before, site.palier = site.palier, site.start_palier()
            assert before.wait() == 0, before.log() + site.palier.log()
    assert site.palier.running() and site.ctl("status")["ready"]
    assert shares(site, 180) == pytest.approx([140, 20, 20], abs=4)


def test_little_memory_and_thousands_of_clients(containers, tmp_path):
    """More than there is room for: who idles is closed, and palier lives and serves on."""
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
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients: list[socket.socket] = []
    try:
        idle = min(5000, hard // 2 - 1000)
        for _ in range(idle):
            connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        told = memory()
        print(f"\n{idle} idle clients in {MEMORY_MIB} MiB: {told['used'] / MIB:.1f} MiB, {begun['used'] / MIB:.1f} before")

        # Heads that do not end hold memory that palier cannot give back.
        unfinished = 0
        while memory()["shortages"] == 0 and unfinished < 4000:
            for _ in range(50):
                connect(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 24_000)
            unfinished += 50
        wait_for(lambda: status_of(url) == 200, "an answer in the shortage", 60, every=0.2)
        closed = sum(is_closed(client) for client in clients[:idle])
        told = memory()
        print(f"{unfinished} unfinished heads later: {closed} of them are closed, {told}")
        assert told["shortages"] >= 1 and told["closed_idle"] >= closed >= idle // 20, told
        for client in clients[idle:]:
            client.close()
        wait_for(lambda: status_of(url) == 200, "an answer again", 60, every=0.2)
        wait_for(lambda: memory()["pressure"] == "none", "the end of the shortage", 60, every=0.2)
        assert container.running() and not container.state(".State.OOMKilled")
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
