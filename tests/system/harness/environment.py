"""Which palier is tested, and how patient to be with it.

PALIER_BINARY      the program under test; default build/release/palier
PALIER_TIME_SCALE  a factor for every deadline; default 1, or 4 for a build with a sanitizer
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BINARY = (ROOT / os.environ.get("PALIER_BINARY", "build/release/palier")).resolve()


def _has_sanitizer(binary: Path) -> bool:
    if not binary.exists():
        return False
    image = binary.read_bytes()
    return b"__asan_init" in image or b"__tsan_init" in image


SANITIZED = _has_sanitizer(BINARY)
SCALE = float(os.environ.get("PALIER_TIME_SCALE", "4" if SANITIZED else "1"))

# A body that could only be held by streaming it; smaller where every byte is watched by a sanitizer.
BIG_BODY = (64 << 20) if SANITIZED else (1 << 30)


def seconds(value: float) -> float:
    """A deadline, made longer for slow builds."""
    return value * SCALE


def duration(value: float) -> str:
    """The same for a configuration: seconds as palier writes durations."""
    return f"{int(seconds(value) * 1000)}ms"
