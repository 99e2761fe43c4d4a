"""A render's plan with what it is rendered with, lent for as long as that takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from musetalk.pipeline.components import Components
from musetalk.pipeline.findings import Findings
from musetalk.pipeline.preflight import STEPS, Preflight
from musetalk.pipeline.prepare import RenderPlan, prepare
from musetalk.progress import RenderRun
from musetalk.settings import FinishSettings, PlanSettings
from musetalk.utils.stopping import ends_by


@contextmanager
def plan_leased(
    preflight: Preflight,
    lease: AbstractContextManager[Components],
    wanted: PlanSettings,
    finish: FinishSettings,
    folder: Path,
    run: RenderRun,
    findings: Findings | None = None,
) -> Iterator[RenderPlan]:
    """Do all that comes before the first frame is generated; what it is rendered with is lent to the block.

    Args:
        preflight: What was probed.
        lease: Lends the components.
        wanted: What is to be decided, and how.
        finish: What is done to generated faces.
        folder: The job's temporary directory, of its own.
        run: Progress, cancellation, timing, warnings.
        findings: What is known of the source already; None: nothing.

    Raises:
        MuseTalkError: It cannot be rendered.
    """
    with ExitStack() as leases:
        with ends_by(run.cancel.check):
            with run.clock.measure("load"):
                components = leases.enter_context(lease)
            run.emit("preflight", STEPS, STEPS)
            plan = prepare(
                preflight.source,
                preflight.voice,
                preflight.timeline,
                components,
                wanted,
                finish,
                folder=folder,
                run=run,
                kept=preflight.kept,
                findings=findings,
            )
        yield plan
