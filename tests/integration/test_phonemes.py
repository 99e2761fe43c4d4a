"""Known phonemes, from the file to the picture."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from musetalk.audio.phonemes import TimedPhoneme, write_phonemes
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.errors import OutputError, SettingsError
from musetalk.lipsync import LipSync
from musetalk.metrics.mouth_opening import measure_opening
from musetalk.pipeline.render import output_frames
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array

pytestmark = pytest.mark.integration
SAID = ("ɑ", "b", "ɑ", "#", "m", "ɑ")  # from 0.2 s on, 0.1 s each


class Hearing:
    """A generator that hears the voice itself, and paints nothing."""

    crop_size, clip_length, device, spec = None, 4, "cpu", GeneratorSpec()

    def generate(self, clip: Clip) -> UInt8Array:
        assert clip.speech.shape[1] == 2
        return clip.crops


@pytest.fixture(scope="module")
def phonemes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phonemes") / "speech.json"
    edges = [0.2 + 0.1 * number for number in range(len(SAID) + 1)]
    write_phonemes(path, [TimedPhoneme(ipa, *within) for ipa, within in zip(SAID, pairwise(edges), strict=True)])
    return path


def settings(phonemes: Path, backend: str = "preview") -> RenderSettings:
    values = {"backend": backend, "detector": {"name": "haar"}, "speech": {"phonemes": phonemes}}
    return RenderSettings.parse(values)


def test_a_smiling_portrait_closes_its_lips_for_known_phonemes(
    portrait: Path, speech: Path, phonemes: Path, tmp_path: Path
) -> None:
    run = RenderRun()
    with LipSync().preparing(portrait, speech, settings(phonemes), tmp_path, run) as plan:
        (face,) = plan.face_plan.faces(0)
        frames = output_frames(plan, 6, 19, run)
        opened = dict(enumerate((measure_opening(frame.picture.rgb(), face.mouth) for frame in frames), 6))
    assert max(opened[8], opened[16]) < 0.05
    assert min(opened[6], opened[11], opened[18]) > 0.1
    assert any("IPA" in warning and "#" in warning for warning in run.warnings)


def test_backends_that_hear_the_voice_are_not_told(
    portrait: Path, speech: Path, phonemes: Path, tmp_path: Path
) -> None:
    registry = BackendRegistry((BackendSpec("hearing", "for tests", lambda _: Hearing()),))
    with LipSync(registry).preparing(portrait, speech, settings(phonemes, "hearing"), tmp_path) as plan:
        (shown, *_) = output_frames(plan, 0, 1, RenderRun())
    assert shown.steps


def test_phonemes_of_another_voice_are_refused_before_anything_is_looked_for(
    portrait: Path, speech: Path, tmp_path: Path
) -> None:
    path = tmp_path / "longer.json"
    write_phonemes(path, [TimedPhoneme("a", 1.0, 3.0)])
    events = list[str]()
    with pytest.raises(SettingsError, match="another voice"):
        LipSync().render(
            portrait, speech, tmp_path / "out.mp4", settings(path), on_progress=lambda event: events.append(event.stage)
        )
    assert set(events) == {"preflight"}
    with pytest.raises(SettingsError, match="another voice"):
        LipSync().check(RenderRequest(portrait, speech, settings(path)))


def test_phonemes_are_an_input_that_is_not_written_over(portrait: Path, speech: Path, phonemes: Path) -> None:
    uses = LipSync().files(RenderRequest(portrait, speech, settings(phonemes)), phonemes.with_suffix(".mp4"))
    with pytest.raises(OutputError, match="the phonemes"):
        uses.writing(phonemes, "the report").check_conflicts()
