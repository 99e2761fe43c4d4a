"""Lets avatars speak live where only some packages can be imported.

python -m tests.helpers.lean_live REQUIREMENTS MODELS AVATAR...
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from musetalk.doctor.hidden_imports import hide

OURS = "musetalk-hybrid"  # where the project is installed
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def named_in(text: str) -> Iterator[str]:
    """The packages that lines of requirements name, those of extras left out."""
    for line in text.splitlines():
        if (found := _NAME.match(line)) and "extra ==" not in line:
            yield normal(found.group())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def with_what_they_need(names: Iterator[str]) -> set[str]:
    known, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name in known:
            continue
        known.add(name)
        with suppress(PackageNotFoundError):  # of another platform
            waiting += named_in("\n".join(requires(name) or ()))
    return known


def main() -> None:
    requirements, models, *avatars = map(Path, sys.argv[1:])
    allowed = with_what_they_need(named_in(requirements.read_text())) | {OURS}
    hide(module for module, owners in packages_distributions().items() if not allowed & set(map(normal, owners)))
    import numpy as np  # noqa: PLC0415 - from here on, no other package is there

    from musetalk.avatars.bundle import open_avatar  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.live.__main__ import main as serve_live  # noqa: PLC0415

    # An address of nobody (RFC 5737): all that serving needs was imported when that is said.
    unserved = serve_live(["--host", "192.0.2.1", "--avatars-dir", str(avatars[0].parent)])
    sys.stdout.write(f"serving {unserved}\n")
    voice = np.asarray(0.3 * np.sin(np.arange(16_000) / 9), np.float32)
    for folder in avatars:
        avatar = open_avatar(folder)
        with LipSync().live(avatar, avatar.settings_with({"models_dir": models})) as session:
            session.push(voice)
            session.flush()
            frames = list(session.spoken())
        painted = sum(frame.picture is not frame.source for frame in frames)
        sys.stdout.write(f"{folder.name} {len(frames)} {painted}\n")


if __name__ == "__main__":
    main()
