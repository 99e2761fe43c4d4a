"""The plan of an avatar before there is a voice: what live speech is rendered by."""

from __future__ import annotations

from pathlib import Path

from musetalk.avatars.bundle import Avatar
from musetalk.media.probe import probe_wanted
from musetalk.media.timing.timeline import plan_source
from musetalk.media.types import Source
from musetalk.pipeline.components import Components
from musetalk.pipeline.findings import Findings
from musetalk.pipeline.prepare import RenderPlan, prepare
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import FinishSettings, PlanSettings, SourceSettings


def open_source(avatar: Avatar, wanted: SourceSettings, cancel: CancelToken | None = None) -> Source:
    """Return the source of an avatar, as long as it can be decoded; none of it is.

    Raises:
        MediaError: It cannot be read here.
    """
    source, frames = probe_wanted(avatar.source, wanted, cancel), avatar.manifest.source.frames
    return source.shortened(frames) if frames < source.frame_count else source


def plan_avatar(
    avatar: Avatar,
    findings: Findings,
    components: Components,
    wanted: PlanSettings,
    finish: FinishSettings,
    *,
    folder: Path,
    run: RenderRun,
) -> RenderPlan:
    """Plan all of an avatar's source, once and forwards, as if a voice of its length spoke throughout.

    Its timeline goes on behind `frame_count`, as the settings say: `source_frame` may be asked of any output frame.
    It has neither voice nor pauses; who speaks with it makes those, and cuts segments, as the voice arrives.

    Args:
        avatar: The avatar.
        findings: What it knows, of this session.
        components: What paints; leased with the same findings.
        wanted: What is to be decided, and how.
        finish: What is done to generated faces.
        folder: The session's temporary directory, of its own.
        run: Progress, cancellation, warnings.

    Raises:
        MuseTalkError: It cannot be done.
    """
    source = open_source(avatar, wanted.inputs.source, run.cancel)
    timeline = plan_source(source.frame_count, wanted.inputs.length)
    for note in findings.notes():
        run.warn(note)
    return prepare(source, None, timeline, components, wanted, finish, folder=folder, run=run, findings=findings)
