"""The manual pages, and the README's reference, know every key, command and option that palier knows."""

import re
import subprocess

import pytest
from harness import ROOT, run_palier, server, site

MAN = ROOT / "packaging" / "man"
PAGES = sorted(MAN.glob("*.[1-9]"))


def plain(roff: str) -> str:
    """Without the escapes that these pages use."""
    return roff.replace(r"\(dq", '"').replace(r"\(aq", "'").replace(r"\-", "-").replace(r"\&", "").replace(r"\e", "\\")


def page(name: str) -> str:
    return plain((MAN / name).read_text())


def marked(text: str) -> set[str]:
    """Words that are set as keys or commands (.Cm), in the first line of a list's item or in the text."""
    words = set()
    for line in re.findall(r"^\.(?:It )?(.*\bCm .*)", text, re.MULTILINE):
        for run in re.findall(r"\bCm (.*?)(?= Pq | No | Oo | Ar | Ns = |$)", line):
            words.update(re.findall(r"[a-z][a-z0-9_-]*", run))
    return words


def test_they_are_formatted_without_a_warning(tmp_path):
    assert len(PAGES) == 3
    subprocess.run([MAN / "check", *PAGES], check=True, timeout=60)
    (tmp_path / "bad.1").write_text(PAGES[0].read_text() + ".Nonsense\n")
    bad = subprocess.run([MAN / "check", tmp_path / "bad.1"], capture_output=True, text=True, timeout=60)
    assert bad.returncode == 1 and "Nonsense" in bad.stderr


# Keys


class Reference:
    """The keys of conf/, where every one is shown with its default, by the table that they are in."""

    def __init__(self):
        self.keys: dict[tuple[str, str], str] = {}  # (table, key) → its default, as the file has it
        for name in ("palier.toml", "tls.toml"):
            self._read((ROOT / "conf" / name).read_text())

    def _read(self, text: str) -> None:
        table = ""
        for line in text.splitlines():
            if header := re.match(r"\s*(?:# )?\[+([a-z._]+)\]+\s*(?:#.*)?$", line):
                table = header[1]
            elif entry := re.match(r'\s*(?:# )?([a-z0-9_]+)\s*= ((?:"[^"]*"|[^"#])*)', line):
                value = entry[2].strip()
                if value.endswith("."):  # a sentence of a comment
                    continue
                self.keys.setdefault((table, entry[1]), value)
                for key in re.findall(r"[{,] ([a-z_]+) =", value):
                    self.keys.setdefault((table, key), "")


def documented() -> dict[str, str]:
    """The text of palier.toml(5), by table; "" is the whole file's."""
    sections = {}
    for title, text in re.findall(r"^\.S[hs] (.*)\n((?:(?!\.S[hs]).*\n?)*)", page("palier.toml.5"), re.MULTILINE):
        sections["" if title == "THE WHOLE FILE" else title.strip("[]")] = text
    return sections


def test_every_key_is_documented_with_its_default():
    sections = documented()
    keys = Reference().keys
    assert len(keys) > 90 and ("pool.maintenance", "retry_after") in keys and ("listener", "max_age") in keys
    missing = [f"{table}.{key}" for table, key in keys if key not in marked(sections.get(table, ""))]
    assert missing == []
    for (table, key), default in keys.items():
        said = re.search(rf"^\.It Cm {key} Pq .*\bdefault (?!: )(.+)", sections[table], re.MULTILINE)
        if said:
            assert said[1] == default, f"{table}.{key}"


def test_no_key_is_documented_that_is_not_there():
    known = Reference().keys
    for table, text in documented().items():
        for tag in re.findall(r"^\.It Cm ([a-z0-9_ ,]+?) Pq", text, re.MULTILINE):
            for key in tag.split(" , "):
                assert (table, key) in known or (table, key) in {("pool.server", "verify"), ("pool.server", "ca"),
                                                                 ("pool.server", "server_name")}, f"{table}.{key}"


# Commands and options


@pytest.fixture
def commands(start_palier):
    """What `palier ctl help` tells, by name."""
    with start_palier(site([server("a", "127.0.0.1:1")])).control() as control:
        return {command["name"]: command for command in control.do("help")["commands"]}


def test_every_command_is_documented(commands):
    text = page("palier-ctl.1")
    readme = (ROOT / "README.md").read_text()
    assert len(commands) > 12
    del commands["take-over"]["usage"]  # of no use to people
    for name, command in commands.items():
        assert re.search(rf"^\.It Cm {name}\b", text, re.MULTILINE), name
        usage = command.get("usage", "")
        for key in re.findall(r"\b([a-z_]+)=", usage):
            assert key in marked(text), f"{name} {key}="
        if name not in ("take-over", "help"):
            assert f"`{name}" in readme, f"{name} in README.md"


def options_of(*arguments: str) -> set[str]:
    done = run_palier(*arguments, "--help")
    assert done.returncode == 0
    return set(re.findall(r"(?<![\w-])--([a-z-]+)", done.stdout))


def test_every_option_is_documented():
    def flags(name: str) -> set[str]:
        return set(re.findall(r"\bFl -([a-z-]+)", page(name)))

    subcommands = {name for name in re.findall(r"^  ([a-z]+) ", run_palier("--help").stdout, re.MULTILINE)}
    assert {"run", "check", "demo", "ctl", "version"} <= subcommands
    of_palier = set().union(*(options_of(name) for name in subcommands - {"ctl"}))
    assert "take-over" in of_palier and of_palier <= flags("palier.1")
    assert subcommands <= marked(page("palier.1"))
    assert "json" in options_of("ctl") and options_of("ctl") <= flags("palier-ctl.1")
