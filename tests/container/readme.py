"""The commands of README.md's recipes, so that a test runs what people copy."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from engine import IMAGE, NOFILE, PODMAN, RUN_OPTIONS
from harness.environment import ROOT as CHECKOUT


def commands(words: str) -> str:
    """The block in which these words are."""
    blocks = [block for block in re.findall(r"^```sh\n(.*?)^```$", (CHECKOUT / "README.md").read_text(), re.M | re.S)
              if words in block]
    assert len(blocks) == 1, f"README.md has {len(blocks)} blocks with {words}"
    return blocks[0]


def adapted(script: str, name: str, **others: str) -> str:
    """With the image under test, and containers and volumes of this name instead of "palier"."""
    script = re.sub(r"\bpalier-(next|run|state)\b", rf"{name}-\1", script)
    script = re.sub(r"((?:--name|wait|rm|exec|-next) )palier(?=\s)", rf"\1{name}", script)
    script = script.replace("localhost/palier ", IMAGE + " ").replace("nofile=65536:65536", f"nofile={NOFILE}:{NOFILE}")
    for old, new in others.items():
        assert old in script, f"{old} is not in\n{script}"
        script = script.replace(old, new)
    return script


def podman_in(folder: Path) -> Path:
    """A program "podman" that does as tests/container/run found it to work here."""
    program = folder / "podman"
    podman = shlex.join([shutil.which(PODMAN[0]) or PODMAN[0], *PODMAN[1:]])
    program.write_text(f"""#!/bin/sh
if [ "$1" = run ]; then shift; exec {podman} run {shlex.join(RUN_OPTIONS)} "$@"; fi
exec {podman} "$@"
""")
    program.chmod(0o755)
    return program


def run(script: str, folder: Path, podman: Path, timeout: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run(["sh", "-c", script], cwd=folder, env={**os.environ, "PATH": f"{podman.parent}:{os.environ['PATH']}"},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
