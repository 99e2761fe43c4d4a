"""One part of the run, in a process of its own: python -m benchmarks.gpu.part NAME FOLDER SECONDS [--smoke]."""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gpu.findings import Findings

if TYPE_CHECKING:
    import torch

    from musetalk.runtime.device import Compute


TOLD = 3  # with which a part's process ends that failed and could tell


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the run.

    Attributes:
        name: Of its module here, and for the command line.
        title: For the page.
        share: Of the run's time that it may take, against those after it: what is left is shared out anew each time.
        needed: Whether it is done whatever parts are asked for: others need it.
    """

    name: str
    title: str
    share: float
    needed: bool = False


# With most of the time that compiling takes for MuseTalk's networks; what a part does not need, those after it have.
PARTS = (
    Part("packages", "Packages", 0.06),
    Part("machine", "The machine", 0.07),
    Part("files", "Weights", 0.25, needed=True),
    Part("numbers", "Every network in fp16 and bf16, against fp32", 0.14),
    Part("networks", "MuseTalk: UNet and decoders", 0.40),
    Part("latentsync", "LatentSync", 0.19),
    Part("renders", "Whole renders", 0.19),
    Part("live", "Live sessions", 0.10),
    Part("memory", "Memory over many segments", 0.07),
)


@dataclass(frozen=True, slots=True)
class Task:
    """What a part works with.

    Attributes:
        folder: For files: models/ holds the networks.
        findings: Where it writes what it finds.
        smoke: Whether to run on the CPU with small networks, to see that it runs.
    """

    folder: Path
    findings: Findings
    smoke: bool

    @property
    def models(self) -> Path:
        """The folder of weights."""
        return self.folder / "models"

    @property
    def device(self) -> torch.device:
        """What is measured."""
        return self.compute("fp32").device

    def compute(self, dtype: str = "auto") -> Compute:
        """Return what to run on, in a number type; "auto": as a render does."""
        from musetalk.runtime.device import choose_compute  # noqa: PLC0415 - loads torch

        return choose_compute("cpu" if self.smoke else "cuda", "fp32" if self.smoke and dtype == "auto" else dtype)


def run(name: str, task: Task) -> bool:
    """Do a part; what fails in it, its own module too, is in its findings. Returns whether it came to its end."""

    def work() -> None:
        importlib.import_module(f"benchmarks.gpu.{name}").measure(task)

    return task.findings.attempt("the whole part", work)


def main() -> int:
    """Do one part; `TOLD`: it failed, and its findings say so."""
    parser = argparse.ArgumentParser(description="Do one part of the measurements on a GPU.")
    parser.add_argument("name", choices=[part.name for part in PARTS])
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    findings = Findings(given.folder / f"{given.name}.jsonl", given.seconds)
    return 0 if run(given.name, Task(given.folder, findings, given.smoke)) else TOLD


if __name__ == "__main__":
    raise SystemExit(main())
