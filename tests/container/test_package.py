"""The Debian package in a Debian that has nothing else: lintian, its installation, what it runs, its upgrade, its purge.
There is no systemd in it; test_service.py has one."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from root import Root

CONFIGURATION = "etc/palier/palier.toml"

# As palier's user, as the service has it; then a request, the rotation of the access log, another request, and the end.
SERVES = """
set -e
inside() { chroot "$ROOT_FOLDER" "$@"; }
answers() { curl --silent --noproxy '*' --max-time 5 --output "$ROOT_FOLDER/tmp/answer" --write-out '%{http_code}' "http://127.0.0.1:8080/$1"; }
until_true() { tries=0; until "$@" >/dev/null 2>&1; do tries=$((tries + 1)); [ $tries -lt 300 ]; sleep 0.1; done; }

inside install -d -o palier -g palier /run/palier
chroot --userspec=palier:palier "$ROOT_FOLDER" /usr/bin/palier run -c /etc/palier/palier.toml &
palier=$!
until_true answers first
inside palier ctl status >/dev/null
log=$ROOT_FOLDER/var/log/palier/access.log
until_true grep -q '"path":"/first"' "$log"
inside logrotate --force /etc/logrotate.d/palier
[ "$(stat -c %a "$log")" = 640 ]
until_true sh -c "curl --silent --noproxy '*' http://127.0.0.1:8080/second; grep -q '\\"path\\":\\"/second\\"' '$log'"
grep -q '"path":"/first"' "$log.1"
kill -TERM $palier
wait $palier
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory, packages):
    root = Root(tmp_path_factory.mktemp("debian") / "root")
    root.do("apt-get", "-q", "update")
    root.do("apt-get", "-q", "install", "-y", "--no-install-recommends", "logrotate")
    for package in packages:
        shutil.copy(package, root.folder / "tmp")
    yield root
    root.remove()


def named_after_palier(root: Root) -> list[str]:
    found = root.do("find", "/", "-xdev", "-name", "*palier*", "-not", "-path", "/tmp/*", "-not", "-path", "/proc/*")
    return sorted(found.split())


def test_lintian_has_nothing_to_say(packages):
    # The first one: the changelog knows no second.
    said = subprocess.run(["lintian", "--allow-root", "--fail-on", "none", packages[0]], check=True, capture_output=True,
                          text=True).stdout
    print(f"\nlintian: {said.strip() or 'nothing'}")
    assert not re.findall(r"^[EW]:", said, re.MULTILINE), said


def test_its_life_from_installation_to_purge(root, packages):
    first, second = (f"/tmp/{package.name}" for package in packages)
    assert named_after_palier(root) == []
    root.do("apt-get", "-q", "install", "-y", "--no-install-recommends", first)
    root.do("palier", "check", "-c", "/etc/palier/palier.toml")
    assert root.do("stat", "-c", "%U:%G %a", "/var/lib/palier", "/var/log/palier").split("\n")[:2] == ["palier:palier 750"] * 2
    assert root.do("readlink", "/etc/systemd/system/multi-user.target.wants/palier.service").strip().endswith(
        "/systemd/system/palier.service")
    assert root.do("getent", "passwd", "palier").strip().endswith(":/var/lib/palier:/usr/sbin/nologin")
    root.do("test", "-s", "/usr/share/bash-completion/completions/palier", "-a", "-s", "/usr/share/man/man1/palier.1.gz")

    os.environ["ROOT_FOLDER"] = str(root.folder)
    root.do("sh", "-c", SERVES, alone=True, outside=True)

    ours = "# ours\n" + (root.folder / CONFIGURATION).read_text()
    (root.folder / CONFIGURATION).write_text(ours)
    (root.folder / "var/lib/palier/state.json").write_text("{}")
    root.do("apt-get", "-q", "install", "-y", "--no-install-recommends", second)
    assert root.do("dpkg-query", "-W", "-f", "${Version}", "palier").endswith("-2")
    assert (root.folder / CONFIGURATION).read_text() == ours
    assert (root.folder / "var/lib/palier/state.json").exists()

    root.do("apt-get", "-q", "remove", "-y", "palier")
    assert (root.folder / CONFIGURATION).read_text() == ours
    assert not (root.folder / "usr/bin/palier").exists() and (root.folder / "var/lib/palier/state.json").exists()
    root.do("apt-get", "-q", "purge", "-y", "palier")
    assert named_after_palier(root) == []
    assert root.command("getent", "passwd", "palier").returncode == 2
