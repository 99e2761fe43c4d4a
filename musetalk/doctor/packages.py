"""What a fresh process can import here, and that it needs none of the eliminated packages for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from musetalk.backends.check import Finding, judged
from musetalk.doctor.findings import Findings
from musetalk.doctor.imports import ELIMINATED, eliminated, imports_in, source_files

_ROOT = Path(__file__).parents[2]
_SECONDS = 600  # on a slow disk, cold: torch, diffusers and gradio together took 40 s
_SHOWN = 5  # failures that are shown


def check_imports() -> Findings:
    """Import everything in a process that cannot see the eliminated packages: see `hidden_imports`."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "musetalk.doctor.hidden_imports"]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS, cwd=_ROOT
        )
    except subprocess.TimeoutExpired:
        return Findings("Imports", (Finding("a fresh process", f"took more than {_SECONDS} s", failed=True),))
    if done.returncode or not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        said = f"ended with exit code {done.returncode}: {last}"
        return Findings("Imports", (Finding("a fresh process", said, failed=True),))
    return Findings("Imports", tuple(_lines(json.loads(done.stdout.splitlines()[-1]))))


def _lines(found: dict[str, Any]) -> list[Finding]:
    lines = [Finding(name, said, said.startswith("failed: ")) for name, said in found["packages"].items()]
    failures: list[str] = found["failures"]
    lines.append(
        judged(
            "core imports",
            f"{found['modules']} modules, and {found['imports']} names that they import at any time",
            failures[:_SHOWN] + ([f"and {len(failures) - _SHOWN} more"] if len(failures) > _SHOWN else []),
        )
    )
    named = eliminated(
        each for file in source_files([_ROOT / "musetalk", _ROOT / "hybrid"]) for each in imports_in(file)
    )
    problems = [*map(str, named), *(f"{name} was imported" for name in found["loaded"])]
    lines.append(judged("eliminated packages", f"not imported: {', '.join(ELIMINATED)}", problems))
    if found["asked"]:
        gone_on = f"libraries looked for {', '.join(found['asked'])}, found them absent, and went on without"
        lines.append(Finding("", gone_on))
    return lines
