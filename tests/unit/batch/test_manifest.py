from __future__ import annotations

import json
from pathlib import Path

import pytest

from musetalk.batch.manifest import read_manifest
from musetalk.batch.rows import Row
from musetalk.errors import ManifestError
from musetalk.settings import RenderSettings
from tests.helpers.errors import raises_kind

HEADER = "source,voice,output\n"
ROW = {"source": "a.mp4", "voice": "b.wav"}


def written(folder: Path, text: str | bytes, name: str = "batch.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(folder: Path, text: str | bytes, name: str = "batch.csv") -> tuple[Row, ...]:
    return read_manifest(written(folder, text, name), folder / "results")


def refused(folder: Path, text: str | bytes, name: str = "batch.csv") -> str:
    with pytest.raises(ManifestError) as caught:
        rows(folder, text, name)
    return str(caught.value)


@pytest.mark.parametrize("name", ["batch.csv", "batch.jsonl"])
def test_a_row_says_the_same_in_either_form(tmp_path: Path, name: str) -> None:
    text = {
        "batch.csv": 'source,voice,output,face,mask.feather,settings\n"a, b.mp4",v/b.wav,x/c.mp4,leftmost,0.2,'
        '"{""encoder"": {""crf"": 20}, ""captions"": ""c.srt""}"\n',
        "batch.jsonl": json.dumps(
            {"source": "a, b.mp4", "voice": "v/b.wav", "output": "x/c.mp4", "face": "leftmost", "mask.feather": 0.2}
            | {"settings": {"encoder": {"crf": 20}, "captions": "c.srt"}}
        ),
    }[name]
    [row] = rows(tmp_path, text, name)
    assert (row.source, row.voice) == (tmp_path / "a, b.mp4", tmp_path / "v/b.wav")
    assert row.output == tmp_path / "results" / "x" / "c.mp4"
    settings = RenderSettings.parse(dict(row.settings))
    assert (settings.face, settings.mask.feather, settings.encoder.crf) == ("leftmost", 0.2, 20)
    assert settings.captions == tmp_path / "c.srt"


def test_spreadsheets_marks_blank_lines_and_missing_names_are_fine(tmp_path: Path) -> None:
    first, second = rows(tmp_path, "\ufeffsource,voice,output,face\r\na.mp4,b.wav,,\r\n\r\n/x/c.mp4,b.wav,,all\r\n")
    assert (first.output.name, first.line, first.settings) == ("a_b.mp4", 2, {})
    assert (second.source, second.line, second.settings) == (Path("/x/c.mp4"), 4, {"face": "all"})


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    text = 'source,voice,output,settings\na.mp4,b.wav,1.mp4,"{""face"":\n""all""}"\na.mp4,b.wav\n'
    assert "line 4: it has 2 cells, and the header 4" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no rows"),
        (HEADER, "holds no rows"),
        ("source;voice;output\na.mp4;b.wav;c.mp4\n", "line 1: its columns are separated by semicolons"),
        ("source\tvoice\na.mp4\tb.wav\n", "line 1: its columns are separated by tabs"),
        ("source,output\na.mp4,c.mp4\n", "line 1: no column voice"),
        ("source,voice,quality,face,face\na.mp4,b.wav,1,all,all\n", "unknown columns 'quality'; .*twice: face"),
        (HEADER + "a.mp4,b.wav,c.mp4\na.mp4,b.wav,x/../c.mp4\n", "line 3: c.mp4 is what line 2 makes already"),
        (HEADER + "a.mp4,b.wav,../c.mp4\n", "line 2: its output.*leads out of"),
        (HEADER + "a.mp4,b.wav,/etc/c.mp4\n", "line 2: its output.*leads out of"),
        (HEADER + "a.mp4,b.wav,c.avi\n", "line 2: its output.*is no video"),
        (HEADER + f"a.mp4,b.wav,{'n' * 300}.mp4\n", "line 2: .*too long a name"),
        (HEADER + "a.mp4,,c.mp4\n", "line 2: it names no voice"),
        (HEADER + "a\x1b[2J.mp4,b.wav,c.mp4\n", r"line 2: its source .*\\x1b.* holds control characters"),
        (HEADER + "a.mp4,b\0.wav,c.mp4\n", "line 2"),
        (HEADER + 'a.mp4,"b.wav,c.mp4\n', "is no CSV"),
        (HEADER + "a.mp4,b.wav,c.mp4\nresults/c.mp4,b.wav,d.mp4\n", "line 3: it reads .*, which line 2 makes"),
        ("source,voice,settings\na.mp4,b.wav,[1]\n", 'line 2: its "settings" are no object'),
        ("source,voice,settings\na.mp4,b.wav,{\n", "line 2: it is no JSON"),
        ("source,voice,face,settings\na.mp4,b.wav,all,\"{\"\"face\"\": 1}\"\n", "line 2: it gives face twice"),
        (b"source,voice\ncaf\xe9.mp4,b.wav\n", "is no text in UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_csv_manifest_is_refused_with_its_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        rows(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n\n", "holds no rows"),
        ('{"source": "a.mp4", "voice": "b.wav"}\n\n[1]\n', "line 3: it is no object"),
        ('{"source": "a.mp4", "source": "c.mp4", "voice": "b.wav"}\n', "line 1: a name is given twice"),
        ('{"source": "a.mp4", "video_path": "c.mp4", "voice": "b.wav"}\n', "line 1: it gives its source twice"),
        ('{"source": 3, "voice": "b.wav"}\n', "line 1: it names no source"),
        ("[" * 100_000 + "\n", "line 1"),
        ('{"source": "a.mp4", "voice": "b.wav", "fps": NaN}\n', "line 1: NaN is no number"),
        ('{"source": "a.mp4", "voice": "\\ud800.wav"}\n', 'line 1: "\\ud800.wav" holds half a letter'),
        ('{"source": "a.mp4", "voice": "b.wav", "mask": {"\\udfff": 1}}\n', "line 1"),
        (
            '{"source": "a.mp4", "voice": "b.wav", "mask": ' + '{"a": ' * 500 + "1" + "}" * 501,
            "line 1: it is nested too",
        ),
    ],
)
def test_what_is_no_jsonl_manifest_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, text, "batch.jsonl")


def test_a_link_that_leads_out_of_the_results_is_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "out").symlink_to(tmp_path)
    assert "leads out of" in refused(tmp_path, HEADER + "a.mp4,b.wav,out/c.mp4\n")


def test_many_problems_are_told_in_order_and_bounded(tmp_path: Path) -> None:
    said = refused(tmp_path, HEADER + "a.mp4,b.wav,../c.mp4\n" * 50)
    assert said.index("line 2:") < said.index("line 21:")
    assert "line 22:" not in said
    assert "and 30 more problems" in said


def test_another_ending_or_no_file_says_so(tmp_path: Path) -> None:
    with raises_kind(ManifestError, path=tmp_path / "batch.xls"):
        rows(tmp_path, "", "batch.xls")
    with raises_kind(ManifestError, path=tmp_path / "gone.csv"):
        read_manifest(tmp_path / "gone.csv", tmp_path)


def test_upstreams_form_is_understood(tmp_path: Path) -> None:
    first, second = rows(
        tmp_path,
        "task_0:\n  video_path: a/film.mp4\n  audio_path: b/voice.wav\n  bbox_shift: -7\n"
        "task_1:\n  video_path: a/film.mp4\n  audio_path: b/voice.wav\n  result_name: other.mp4\n",
        "tasks.yaml",
    )
    out = tmp_path / "results" / "film_voice.mp4"
    assert first == Row("task_0", Path("a/film.mp4"), Path("b/voice.wav"), out, {"bbox_shift": -7}, 1)
    assert (second.output.name, second.line) == ("other.mp4", 5)


def test_the_masks_knobs_may_stand_beside_the_paths(tmp_path: Path) -> None:
    [row] = rows(
        tmp_path,
        "task_0:\n  video_path: a.mp4\n  audio_path: b.wav\n  ellipse_padding_factor: 0.02\n"
        "  upper_boundary_ratio: 0.22\n  expand_factor: 1.9\n  blur_kernel_ratio: 0.06\n"
        "  mouth_vertical_offset: 0.01\n  mouth_scale_factor: 1.4\n"
        "  left_cheek_width: 40\n  occlusion: true\n  mask: {shape: jaw, expand_factor: 1.8}\n",
        "tasks.yaml",
    )
    mask = RenderSettings.parse(dict(row.settings)).mask
    assert (mask.shape, mask.ellipse_padding_factor, mask.upper_boundary_ratio) == ("jaw", 0.02, 0.22)
    assert (mask.expand_factor, mask.blur_kernel_ratio) == (1.8, 0.06)
    assert (mask.mouth_vertical_offset, mask.mouth_scale_factor) == (0.01, 1.4)
    assert (mask.left_cheek_width, mask.occlusion) == (40, True)


def test_the_shipped_config_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    for row in read_manifest(Path("configs/inference/test.yaml"), Path("results")):
        RenderSettings.parse(dict(row.settings))
        assert row.source.exists()
        assert row.voice.exists()


def _doubled(what: str) -> str:
    """A file of forty lines, each of which says twice what the one before it does."""
    return "a0: &a0 {p: 1}\n" + "".join(f"a{n + 1}: &a{n + 1} {what.format(f'a{n}')}\n" for n in range(40))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no tasks"),
        ("- a\n- b\n", "no tasks"),
        ("a: [", "no YAML"),
        ("task_0:\n  video_path: a.mp4\n", "line 1: it names no voice"),
        ("task_0:\n  video_path: a.mp4\n  audio_path: b.wav\n  result_name: ../../c.mp4\n", "leads out of"),
        ("x: &a {video_path: a.mp4, audio_path: b.wav}\ny: *a\n", "line 2: a_b.mp4 is what x makes already"),
        ("x: {video_path: a.mp4, audio_path: b.wav}\nx: {video_path: c.mp4, audio_path: b.wav}\n", "line 2"),
        ("x: !!python/object/apply:os.getcwd []\n", "no YAML"),
        ("x: 3\n", 'line 1: "x" is no task'),
        (_doubled("[*{0}, *{0}]"), "refers to itself too often"),
        (_doubled("{{<<: [*{0}, *{0}]}}"), "refers to itself too often"),
    ],
)
def test_what_is_no_file_of_tasks_says_so(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, text, "tasks.yaml")


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    text = json.dumps({**ROW, "bbox_shift": 3, "length": "loop", "encoder": {"crf": 30, "preset": "slow"}})
    overrides = {"bbox_shift": 9, "encoder": {"crf": 20}}
    [row] = read_manifest(written(tmp_path, text, "a.jsonl"), tmp_path / "results", overrides=overrides)
    settings = RenderSettings.parse(dict(row.settings))
    assert (settings.bbox_shift, settings.length, settings.tail) == (9, "loop", "cut")
    assert (settings.encoder.crf, settings.encoder.preset) == (20, "slow")


def test_thousands_of_rows_are_read(tmp_path: Path) -> None:
    lines = "".join(f"a.mp4,voices/{number}.wav,{number}.mp4,{number % 7}\n" for number in range(5000))
    found = rows(tmp_path, "source,voice,output,bbox_shift\n" + lines)
    assert len(found) == 5000
    assert (found[-1].line, found[-1].settings) == (5001, {"bbox_shift": "1"})
