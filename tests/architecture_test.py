"""The house's rules that a compiler does not check: which module may include which, and how long files may be.

The table of modules is src/CMakeLists.txt: each palier_module() line there is a row, and what its DEPS reach is
what the module may include. Run with pytest, or by hand: python3 tests/architecture_test.py [ROOT].
"""

import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Libraries that stay behind one module's headers.
CONFINED = [
    (re.compile(r"toml(11)?(\.hpp|/)|toml$"), "config"),
    (re.compile(r"uv(\.h|/)|ares(_\w+)?\.h"), "net"),
    (re.compile(r"openssl/"), "tls"),
    (re.compile(r"nghttp2/|llhttp\.h"), "http"),
]
LONGEST = {".cc": 600, ".h": 250}

MODULE_LINE = re.compile(r"^\s*palier_module\(\s*([^)]*)\)", re.MULTILINE)
INCLUDE_LINE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def modules(root):
    """Module -> every module it may include, itself among them."""
    direct = {}
    for match in MODULE_LINE.finditer((root / "src/CMakeLists.txt").read_text()):
        name, *words = match.group(1).split()
        section, direct[name] = None, set()
        for word in words:
            if word in ("DEPS", "LIBS"):
                section = word
            elif section == "DEPS":
                direct[name].add(word)

    def reach(name, path):
        if name in path:
            raise ValueError("modules in a circle: " + " -> ".join((*path, name)))
        if name not in direct:
            raise ValueError(f"{path[-1]} depends on {name}, which is no module")
        return {name}.union(*(reach(dep, (*path, name)) for dep in direct[name]))

    return {name: reach(name, ()) for name in direct}


def sources(root):
    """Every C++ file of the house, with its module; None where its place belongs to no module."""
    for base in (root / "include/palier", root / "src"):
        for path in sorted(base.rglob("*")):
            if path.suffix in (".cc", ".h"):
                parts = path.relative_to(base).parts
                yield path, parts[0] if len(parts) > 1 else None


def include_fault(root, path, module, allowed, quoted, included):
    """What is wrong with one #include of `module`, or None."""
    for library, owner in CONFINED:
        if library.match(included) and module != owner:
            return f"<{included}> belongs behind {owner}"
    parts = included.split("/")
    if parts[0] == "palier":
        if parts[1] not in allowed:
            return f"{module} may not use {parts[1]} ({included})"
        if not (root / "include" / included).is_file():
            return f"{included} does not exist"
    elif quoted:
        if not path.is_relative_to(root / "src"):
            return f"a public header may not include a private one ({included})"
        target = root / "src" / included if len(parts) > 1 else path.parent / included
        if not target.is_file():
            return f"{included} is no header of the project"
        owner = target.resolve().relative_to((root / "src").resolve()).parts[0]
        if owner != module:
            return f"{included} is private to {owner}"
    return None


def faults(root):
    """Every broken rule as "file:line: what"."""
    table = modules(root)
    found = []
    for path, module in sources(root):
        place = path.relative_to(root)
        lines = path.read_text().splitlines()
        if module not in table:
            found.append(f"{place}:1: belongs to no module of src/CMakeLists.txt")
            continue
        if len(lines) > LONGEST[path.suffix]:
            found.append(f"{place}:1: {len(lines)} lines, more than {LONGEST[path.suffix]}")
        for number, line in enumerate(lines, 1):
            if match := INCLUDE_LINE.match(line):
                fault = include_fault(root, path, module, table[module], match[1] == '"', match[2])
                if fault:
                    found.append(f"{place}:{number}: {fault}")
    return found


def test_the_house_keeps_its_rules():
    table = modules(ROOT)
    assert {"base", "config", "net", "http", "balance", "pool", "proxy"} <= table.keys()
    assert sum(1 for _ in sources(ROOT)) > 50
    assert faults(ROOT) == []


# What follows plants violations in a small house and looks whether they are found.

SMALL_HOUSE = {
    "src/CMakeLists.txt": """
function(palier_module name)
endfunction()
palier_module(base LIBS fmt::fmt)
palier_module(config DEPS base)
palier_module(net
    DEPS base
    LIBS PkgConfig::LIBUV)
palier_module(pool DEPS net)
""",
    "include/palier/base/result.h": "#pragma once\n#include <string>\n",
    "include/palier/config/load.h": '#pragma once\n#include "palier/base/result.h"\n',
    "include/palier/net/loop.h": '#pragma once\n#include <uv.h>\n#include "palier/base/result.h"\n',
    "include/palier/pool/pool.h": '#pragma once\n#include "palier/net/loop.h"\n',
    "src/config/load.cc": '#include "palier/config/load.h"\n#include <toml.hpp>\n#include "config/units.h"\n',
    "src/config/units.h": "#pragma once\n",
    "src/config/units.cc": '#include "units.h"\n',
    "src/pool/pool.cc": '#include "palier/pool/pool.h"\n#include "palier/base/result.h"\n',
}


@pytest.fixture
def house(tmp_path):
    for name, text in SMALL_HOUSE.items():
        plant(tmp_path, name, text)
    return tmp_path


def plant(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_sound_house_has_no_faults(house):
    assert faults(house) == []


def test_dependencies_reach_through_modules(house):
    assert modules(house)["pool"] == {"pool", "net", "base"}
    assert modules(house)["base"] == {"base"}


@pytest.mark.parametrize(
    "name, text, fault",
    [
        ("src/base/log.cc", '#include "palier/config/load.h"\n', "1: base may not use config"),
        ("src/pool/lease.cc", '\n#include "palier/config/load.h"\n', "2: pool may not use config"),
        ("include/palier/net/x.h", "#  include <palier/pool/pool.h>\n", "1: net may not use pool"),
        ("src/pool/lease.cc", '#include "palier/tls/store.h"\n', "1: pool may not use tls"),
        ("src/pool/lease.cc", '#include "palier/net/gone.h"\n', "1: palier/net/gone.h does not exist"),
        ("src/base/log.cc", "#include <toml.hpp>\n", "1: <toml.hpp> belongs behind config"),
        ("src/net/log.cc", "#include <toml11/toml.hpp>\n", "1: <toml11/toml.hpp> belongs behind config"),
        ("src/pool/lease.cc", "#include <uv.h>\n", "1: <uv.h> belongs behind net"),
        ("src/pool/lease.cc", '#include "uv.h"\n', "1: <uv.h> belongs behind net"),
        ("src/pool/lease.cc", "#include <ares.h>\n", "1: <ares.h> belongs behind net"),
        ("include/palier/net/x.h", "#include <openssl/ssl.h>\n", "1: <openssl/ssl.h> belongs behind tls"),
        ("src/net/x.cc", "#include <nghttp2/nghttp2.h>\n", "1: <nghttp2/nghttp2.h> belongs behind http"),
        ("src/net/x.cc", "#include <llhttp.h>\n", "1: <llhttp.h> belongs behind http"),
        ("src/pool/lease.cc", '#include "config/units.h"\n', "1: config/units.h is private to config"),
        ("src/pool/lease.cc", '#include "../config/units.h"\n', "1: ../config/units.h is no header of the project"),
        ("src/pool/lease.cc", '#include "pool/../config/units.h"\n', "units.h is private to config"),
        ("include/palier/config/x.h", '#include "config/units.h"\n', "1: a public header may not include a private"),
        ("src/cache/cache.cc", "", "1: belongs to no module"),
        ("src/stray.cc", "", "1: belongs to no module"),
        ("src/net/long.cc", "\n" * 601, "1: 601 lines, more than 600"),
        ("include/palier/net/long.h", "\n" * 251, "1: 251 lines, more than 250"),
        ("src/net/long.h", "\n" * 251, "1: 251 lines, more than 250"),
    ],
)
def test_a_planted_fault_is_found(house, name, text, fault):
    plant(house, name, text)
    found = faults(house)
    assert len(found) == 1
    assert found[0].startswith(name + ":")
    assert fault in found[0]


def test_files_as_long_as_allowed_pass(house):
    plant(house, "src/net/long.cc", "\n" * 600)
    plant(house, "src/net/long.h", "\n" * 250)
    assert faults(house) == []


@pytest.mark.parametrize("line", ["palier_module(base DEPS pool)\n", "palier_module(tls DEPS quic)\n"])
def test_a_table_that_makes_no_sense_is_refused(house, line):
    table = house / "src/CMakeLists.txt"
    table.write_text(table.read_text() + line)
    with pytest.raises(ValueError):
        faults(house)


if __name__ == "__main__":
    broken = faults(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
    print("\n".join(broken) or "no faults")
    sys.exit(1 if broken else 0)
