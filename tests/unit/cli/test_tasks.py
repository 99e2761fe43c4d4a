from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from musetalk.cli.tasks import Task, read_tasks, run_tasks
from musetalk.errors import Cancelled, FaceError, SettingsError
from musetalk.pipeline.report import RenderReport
from musetalk.settings import RenderSettings
from tests.helpers.errors import raises_kind
from tests.helpers.reports import some_report


def config(folder: Path, text: str) -> Path:
    path = folder / "tasks.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_upstreams_form_is_understood(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        "task_0:\n  video_path: a/film.mp4\n  audio_path: b/voice.wav\n  bbox_shift: -7\n"
        "task_1:\n  video_path: a/film.mp4\n  audio_path: b/voice.wav\n  result_name: other.mp4\n",
    )
    first, second = read_tasks(path, tmp_path / "results")
    assert first == Task(
        "task_0", Path("a/film.mp4"), Path("b/voice.wav"), tmp_path / "results" / "film_voice.mp4", {"bbox_shift": -7}
    )
    assert second.out.name == "other.mp4"


def test_the_masks_knobs_may_stand_beside_the_paths(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        "task_0:\n  video_path: a.mp4\n  audio_path: b.wav\n  ellipse_padding_factor: 0.02\n"
        "  upper_boundary_ratio: 0.22\n  expand_factor: 1.9\n  blur_kernel_ratio: 0.06\n"
        "  mouth_vertical_offset: 0.01\n  mouth_scale_factor: 1.4\n"
        "  left_cheek_width: 40\n  occlusion: true\n  mask: {shape: jaw, expand_factor: 1.8}\n",
    )
    [task] = read_tasks(path, tmp_path)
    mask = RenderSettings.parse(task.settings).mask
    assert (mask.shape, mask.ellipse_padding_factor, mask.upper_boundary_ratio) == ("jaw", 0.02, 0.22)
    assert (mask.expand_factor, mask.blur_kernel_ratio) == (1.8, 0.06)
    assert (mask.mouth_vertical_offset, mask.mouth_scale_factor) == (0.01, 1.4)
    assert (mask.left_cheek_width, mask.occlusion) == (40, True)


def test_the_shipped_config_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    tasks = read_tasks(Path("configs/inference/test.yaml"), Path("results"))
    for task in tasks:
        RenderSettings.parse(task.settings)
        assert task.video.exists()
        assert task.voice.exists()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no tasks"),
        ("- a\n- b\n", "no tasks"),
        ("a: [", "no YAML"),
        ("task_0:\n  video_path: a.mp4\n", "audio_path"),
        ("task_0:\n  video_path: a.mp4\n  audio_path: b.wav\n  result_name: ../../c.mp4\n", "plain file name"),
        ("x: &a {video_path: a.mp4, audio_path: b.wav}\ny: *a\n", "more than once"),
        ("x: !!python/object/apply:os.getcwd []\n", "no YAML"),
    ],
)
def test_what_is_no_batch_says_so(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        read_tasks(config(tmp_path, text), tmp_path)


def test_a_missing_config_says_so(tmp_path: Path) -> None:
    with raises_kind(SettingsError, path=tmp_path / "gone.yaml"):
        read_tasks(tmp_path / "gone.yaml", tmp_path)


def tasks_with(*settings: dict[str, Any]) -> list[Task]:
    return [Task(f"t{n}", Path("v"), Path("a"), Path(f"{n}.mp4"), values) for n, values in enumerate(settings)]


def test_one_failing_does_not_stop_the_rest() -> None:
    def render(task: Task, settings: RenderSettings) -> RenderReport:
        if task.name == "t0":
            raise FaceError("no face")
        return some_report(task.out, settings)

    results = list(run_tasks(tasks_with({}, {"crf": 3}, {}), {}, render))
    assert [result.report is not None for result in results] == [False, False, True]
    assert results[0].error == "no face"
    assert "crf" in str(results[1].error)


def test_the_command_line_wins_over_the_file() -> None:
    seen: list[RenderSettings] = []

    def render(task: Task, settings: RenderSettings) -> RenderReport:
        seen.append(settings)
        return some_report(task.out, settings)

    file = {"bbox_shift": 3, "length": "loop", "encoder": {"crf": 30, "preset": "slow"}}
    list(run_tasks(tasks_with(file), {"bbox_shift": 9, "encoder": {"crf": 20}}, render))
    assert (seen[0].bbox_shift, seen[0].length, seen[0].tail) == (9, "loop", "cut")
    assert (seen[0].encoder.crf, seen[0].encoder.preset) == (20, "slow")


def test_cancelling_stops_the_batch() -> None:
    def render(_task: Task, _settings: RenderSettings) -> RenderReport:
        raise Cancelled

    with pytest.raises(Cancelled):
        list(run_tasks(tasks_with({}, {}), {}, render))
