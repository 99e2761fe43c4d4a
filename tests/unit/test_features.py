"""From a voice to Whisper features: loading, streaming, seams, windows, cache."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

from musetalk.arrays import Float32Array
from musetalk.errors import BackendError, Cancelled, OutputError
from musetalk.progress import CancelToken
from musetalk.speech.features import measure_features, plan_seams
from musetalk.speech.hearing import LATENTSYNC_HEARING, MUSETALK_HEARING, Hearing, Seams
from musetalk.speech.mel import mel_of_voice, regroup
from musetalk.speech.store import FeatureCache, FeatureFile, write_features
from musetalk.speech.whisper import WhisperListener, load_whisper, whisper_lacks
from musetalk.speech.windows import FeatureTrack, step_numbers

RATE = 16_000
SHAPE = (5, 16)  # Whisper tiny's four layers, but narrow
WINDOW = 150  # steps: 3 s instead of 30
HALF = 2.0**-11  # relative error of half precision


def build_model() -> WhisperModel:
    """Whisper with all its parts, small: positions count for nothing, weights are large enough for context to count."""
    config = WhisperConfig(
        vocab_size=20,
        d_model=SHAPE[1],
        encoder_layers=SHAPE[0] - 1,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        max_source_positions=WINDOW,
        max_target_positions=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = WhisperModel(config).eval()
        with torch.no_grad():
            for name, value in model.encoder.named_parameters():
                if value.ndim > 1:
                    value.normal_(std=1.0 / value[0].numel() ** 0.5)
                if name.startswith("embed_positions"):
                    value.zero_()
    return model


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """So small a network is slower on several threads, much slower where tests run side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    return build_model()


@pytest.fixture(scope="module")
def folder(model: WhisperModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(path)
    WhisperFeatureExtractor(chunk_length=3).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> WhisperListener:
    return load_whisper(folder, shape=SHAPE)


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def speech(seconds: float, seed: int = 0) -> Float32Array:
    """Noise of changing colour that swells four times a second; never quiet for long."""
    generator = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    noise = generator.normal(size=len(t))
    colour = np.convolve(noise, np.ones(8) / 8, mode="same")
    tone = np.sin(2 * np.pi * (300 + 200 * np.sin(1.3 * t)) * t)
    return ((0.05 * noise + 0.1 * colour + 0.2 * tone) * (0.6 + 0.4 * np.sin(8 * np.pi * t))).astype(np.float32)


def blocks_of(samples: Float32Array, size: int = 64_000) -> Iterator[Float32Array]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def features_of(samples: Float32Array, encoder: WhisperListener, path: Path, seams: Seams = "smooth") -> Float32Array:
    file = measure_features(blocks_of(samples), encoder, path / "voice.npy", seams=seams)
    return file.read(0, file.steps)


def reference(model: WhisperModel, samples: Float32Array) -> Float32Array:
    """What MuseTalk computes for one segment, by transformers' own means: float32 [WINDOW, 5, 16]."""
    extractor = WhisperFeatureExtractor(chunk_length=3)
    mel = extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features
    with torch.inference_mode():
        states = model.encoder(mel, output_hidden_states=True).hidden_states
    return torch.stack(states, dim=2)[0].numpy()


def assert_same(found: Float32Array, wanted: Float32Array) -> None:
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=HALF, atol=5e-4)


# Loading


def test_features_are_those_of_transformers(model: WhisperModel, encoder: WhisperListener, tmp_path: Path) -> None:
    samples = speech(2.5)
    assert_same(features_of(samples, encoder, tmp_path), reference(model, samples)[:125])


def test_a_bin_file_gives_the_same_encoder(
    model: WhisperModel, folder: Path, encoder: WhisperListener, tmp_path: Path
) -> None:
    published = copy_of(folder, tmp_path / "whisper")
    (published / "model.safetensors").unlink()
    # As published: the names start with "model.", and the decoder's part lies beside.
    torch.save({f"model.{name}": value for name, value in model.state_dict().items()}, published / "pytorch_model.bin")
    assert whisper_lacks(published) == ()
    loaded = load_whisper(published, shape=SHAPE)
    assert loaded.fingerprint == encoder.fingerprint
    mel = np.random.default_rng(0).normal(size=(80, 2 * WINDOW)).astype(np.float32)
    assert np.array_equal(loaded.encode(mel), encoder.encode(mel))


def test_half_precision_files_are_heard_in_single_precision(model: WhisperModel, folder: Path, tmp_path: Path) -> None:
    halved = copy_of(folder, tmp_path / "whisper")
    save_file({name: value.half() for name, value in model.state_dict().items()}, halved / "model.safetensors")
    config = json.loads((halved / "config.json").read_text())
    (halved / "config.json").write_text(json.dumps({**config, "torch_dtype": "float16", "dtype": "float16"}))
    mel = np.random.default_rng(0).normal(size=(80, 2 * WINDOW)).astype(np.float32)
    found = load_whisper(halved, shape=SHAPE).encode(mel)
    assert found.dtype == np.float32
    assert (found != found.astype(np.float16)).any()


def test_loading_draws_no_random_numbers(folder: Path) -> None:
    state = torch.random.get_rng_state()
    load_whisper(folder, shape=SHAPE)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_latentsync_hears_the_last_state_before_the_closing_norm(
    folder: Path, model: WhisperModel, encoder: WhisperListener
) -> None:
    loaded = load_whisper(folder, LATENTSYNC_HEARING, shape=SHAPE)
    mel = np.random.default_rng(0).normal(size=(80, 2 * WINDOW)).astype(np.float32)
    before, after = loaded.encode(mel), encoder.encode(mel)
    assert np.array_equal(before[:, :4], after[:, :4])
    with torch.inference_mode():
        normed = model.encoder.layer_norm(torch.from_numpy(before[:, 4])).numpy()
    np.testing.assert_allclose(normed, after[:, 4], atol=1e-5)
    assert np.abs(before[:, 4] - after[:, 4]).max() > 0.1
    assert loaded.fingerprint != encoder.fingerprint


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    broken = copy_of(folder, tmp_path / "whisper")
    (broken / name).unlink()
    assert len(whisper_lacks(broken)) == 1
    with pytest.raises(BackendError, match="weights download") as caught:
        load_whisper(broken, shape=SHAPE)
    assert str(broken / name) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\x00\xff" * 50])
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, name: str, content: bytes) -> None:
    broken = copy_of(folder, tmp_path / "whisper")
    (broken / name).write_bytes(content)
    with pytest.raises(BackendError) as caught:
        load_whisper(broken, shape=SHAPE)
    assert str(broken / name) in str(caught.value)


def test_another_model_is_refused(folder: Path, tmp_path: Path, model: WhisperModel) -> None:
    with pytest.raises(BackendError, match="5 hidden states of 16 values instead of 5 of 384"):
        load_whisper(folder)
    broken = copy_of(folder, tmp_path / "whisper")
    WhisperFeatureExtractor().save_pretrained(broken)
    with pytest.raises(BackendError, match="does not fit the model"):
        load_whisper(broken, shape=SHAPE)
    broken = copy_of(folder, tmp_path / "other")
    state = {f"encoder.{name}": value for name, value in model.encoder.state_dict().items() if "layers.2" not in name}
    save_file(state, broken / "model.safetensors")
    with pytest.raises(BackendError, match=r"missing layers\.2"):
        load_whisper(broken, shape=SHAPE)


# Streaming


@pytest.mark.parametrize("seams", ["smooth", "upstream"])
def test_cutting_into_blocks_changes_nothing(encoder: WhisperListener, tmp_path: Path, seams: Seams) -> None:
    samples = speech(7.3)
    whole = measure_features([samples], encoder, tmp_path / "whole.npy", seams=seams)
    sizes = iter([1, 0, 159, 48_000, 48_001, 7])
    pieces, rest = [], samples
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    cut = measure_features([*pieces, rest], encoder, tmp_path / "cut.npy", seams=seams)
    assert whole.path.read_bytes() == cut.path.read_bytes()


@settings(max_examples=40)
@given(lengths=st.lists(st.integers(0, 2000), max_size=8), size=st.integers(400, 1500))
def test_regrouping_keeps_every_sample(lengths: list[int], size: int) -> None:
    samples = np.arange(sum(lengths), dtype=np.float32)
    blocks = np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []
    pieces = list(regroup(blocks, size))
    assert np.array_equal(np.concatenate([*pieces, np.zeros(0)]), samples)
    assert all(len(piece) == size for piece in pieces[:-1])
    assert not pieces or 0 < len(pieces[-1]) <= size


@given(samples=st.integers(1, 3000), size=st.integers(400, 1200))
def test_every_sample_is_heard_by_a_frame(samples: int, size: int) -> None:
    voice = speech(0.2)[:samples]
    filters = np.ones((201, 2))
    silent, mirrored = (
        np.concatenate(list(mel_of_voice(regroup([voice], size), filters, after)))  # type: ignore[arg-type]
        for after in ("silence", "zero")
    )
    assert len(silent) == -(-(samples + 200) // 160)  # the last frame reaches back 200 samples
    assert len(mirrored) == samples // 160
    untouched = max((samples - 200) // 160, 0)  # frames that reach over no end
    assert np.array_equal(silent[:untouched], mirrored[:untouched])


def test_no_numbers_are_silence(encoder: WhisperListener, tmp_path: Path) -> None:
    samples = speech(1.0)
    samples[4000:4010] = 0
    broken = samples.copy()
    broken[4000:4010] = [np.nan, np.inf, -np.inf] * 3 + [np.nan]
    assert np.array_equal(features_of(broken, encoder, tmp_path), features_of(samples, encoder, tmp_path))


@pytest.mark.parametrize("samples", [0, 1, 319, 320, 1600])
@pytest.mark.parametrize("hearing", [MUSETALK_HEARING, LATENTSYNC_HEARING])
def test_the_shortest_voices(folder: Path, tmp_path: Path, samples: int, hearing: Hearing) -> None:
    listener = load_whisper(folder, hearing, shape=SHAPE)
    file = measure_features([speech(0.2)[:samples]], listener, tmp_path / "voice.npy")
    assert file.steps == samples // 320
    windows = FeatureTrack(file, fps=Fraction(25), frame_count=1, hearing=hearing).window(0, 3)
    assert windows.shape == (3, 50, 16)
    assert np.isfinite(windows).all()
    assert windows.any() == (file.steps > 0)


def test_the_work_can_be_cancelled(encoder: WhisperListener, tmp_path: Path) -> None:
    token = CancelToken()
    done: list[tuple[int, int]] = []

    def on_step(steps: int, total: int) -> None:
        done.append((steps, total))
        token.cancel()

    with pytest.raises(Cancelled):
        measure_features([speech(9.0)], encoder, tmp_path / "voice.npy", on_step=on_step, cancel=token)
    assert done == [(150, 450)]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(encoder: WhisperListener, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        measure_features([speech(0.5)], encoder, tmp_path / "none" / "voice.npy")


# Seams


def test_upstreams_seams_are_upstreams(model: WhisperModel, encoder: WhisperListener, tmp_path: Path) -> None:
    samples = speech(7.5)
    samples[48_000:96_000] *= 1e-5  # the floor of each segment is its own
    wanted = np.concatenate([reference(model, samples[start : start + 48_000]) for start in (0, 48_000, 96_000)])
    assert_same(features_of(samples, encoder, tmp_path, "upstream"), wanted[:375])


def test_no_seam_shows(model: WhisperModel, encoder: WhisperListener, tmp_path: Path) -> None:
    samples = speech(12.0)
    smooth = features_of(samples, encoder, tmp_path)
    hard = features_of(samples, encoder, tmp_path, "upstream")
    assert len(smooth) == len(hard) == 600
    for border in (150, 300, 450):
        here = slice(border - 5, border + 5)
        around = samples[(border - 75) * 320 : (border + 75) * 320]  # a window with the border in its middle
        wanted = reference(model, around)[70:80]
        # The first state depends on nothing farther than some 30 ms.
        assert np.abs(hard[here, 0] - wanted[:, 0]).max() > wanted[:, 0].std()
        assert_same(smooth[here, 0], wanted[:, 0])
        # The others listen to the whole window, which is another one here.
        assert np.square(smooth[here] - wanted).mean() < np.square(hard[here] - wanted).mean() / 2


@given(steps=st.integers(0, 9000))
def test_windows_overlap_enough_and_cover_the_voice(steps: int) -> None:
    plan = plan_seams(steps, 1500, "smooth")
    starts = np.array(plan.starts, int)
    assert starts.tolist() == sorted({max(start, 0) for start in starts.tolist()})
    assert (np.diff(starts) <= 1000).all()
    assert len(starts) == (0 if steps == 0 else 1 + max(-(-(steps - 1500) // 1000), 0))
    if steps:
        assert starts[0] == 0
        assert starts[-1] == max(steps - 1500, 0)


def test_windows_are_joined_where_it_is_quiet(folder: Path, tmp_path: Path) -> None:
    samples = speech(5.0)
    samples[round(2.5 * RATE) : round(2.6 * RATE)] = 0  # within the middle half of the overlap, steps 112 to 138
    listener = load_whisper(folder, shape=SHAPE)

    class Numbered:
        """States that say which window they come from."""

        hearing, filters, window_steps, states, width = listener.hearing, listener.filters, WINDOW, 1, 1
        fingerprint = ""
        calls = 0

        def encode(self, mel: Float32Array) -> Float32Array:
            self.calls += 1
            return np.full((WINDOW, 1, 1), self.calls, np.float32)

    file = measure_features([samples], Numbered(), tmp_path / "voice.npy")
    window = file.read(0, file.steps)[:, 0, 0]
    passage = np.flatnonzero(window == 1.5)
    assert passage.tolist() in ([126], [127], [128], [129])
    assert (window[: passage[0]] == 1).all()
    assert window[passage[0] + 1 : 200].tolist() == [2.0] * (199 - passage[0])


# Windows


def test_frames_at_24_and_29_97_fps_hear_their_own_moment() -> None:
    assert step_numbers(24, 25, Fraction(24))[0].tolist() == list(range(46, 56))  # one second: step 50
    assert step_numbers(11, 12, Fraction(24))[0, 4] == 22  # 50 x 11 / 24 = 22.9
    ntsc = Fraction(30000, 1001)
    assert step_numbers(30_000, 30_001, ntsc)[0, 4] == 50 * 1001  # after 1001 s, to the step
    assert step_numbers(29_999, 30_000, ntsc)[0, 4] == 50 * 1001 - 2


@given(
    fps=st.fractions(5, 120, max_denominator=1001),
    frame=st.integers(0, 2_000_000),
    left=st.integers(0, 4),
    right=st.integers(0, 4),
)
def test_a_frame_hears_what_is_around_it(fps: Fraction, frame: int, left: int, right: int) -> None:
    numbers = step_numbers(frame, frame + 2, fps, left, right)
    assert numbers.shape == (2, 2 * (left + right + 1))
    own = numbers[:, 2 * left]
    moments = [50 * Fraction(k) / fps for k in (frame, frame + 1)]
    assert all(0 <= moment - int(step) < 1 for moment, step in zip(moments, own, strict=True))
    assert (np.diff(numbers, axis=1) == 1).all()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> FeatureFile:
    """Features that say where they come from: [step + 1, state], 40 steps."""
    step, state = np.arange(40)[:, None] + np.zeros(5, int), np.arange(5) + np.zeros((40, 1), int)
    values = np.stack([step + 1, state], axis=2).astype(np.float32)
    return write_features(tmp_path_factory.mktemp("features") / "voice.npy", values.shape, [values])


@given(
    fps=st.sampled_from([Fraction(5), Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(120)]),
    start=st.integers(0, 120),
    count=st.integers(0, 9),
    clamp=st.booleans(),
)
def test_any_range_is_part_of_the_whole(file: FeatureFile, fps: Fraction, start: int, count: int, clamp: bool) -> None:
    hearing = LATENTSYNC_HEARING if clamp else MUSETALK_HEARING
    track = FeatureTrack(file, fps=fps, frame_count=20, hearing=hearing)
    window = track.window(start, start + count)
    assert window.dtype == np.float32
    assert np.array_equal(window, track.window(0, 130)[start : start + count])
    numbers = np.repeat(step_numbers(start, start + count, fps), 5, axis=1)
    wanted = np.clip(numbers, 0, 39) + 1 if clamp else np.where((numbers >= 0) & (numbers < 40), numbers + 1, 0)
    assert np.array_equal(window[..., 0], wanted)


# Disk


def test_half_a_file_is_refused(file: FeatureFile, tmp_path: Path) -> None:
    content = file.path.read_bytes()
    for length in (0, 5, 60, len(content) - 1):
        (tmp_path / "cut.npy").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"."):
            FeatureFile.open(tmp_path / "cut.npy")
    np.save(tmp_path / "other.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="no features"):
        FeatureFile.open(tmp_path / "other.npy")


def test_values_beyond_half_precision_stay_finite(tmp_path: Path) -> None:
    written = write_features(tmp_path / "f.npy", (1, 1, 2), [np.array([[[1e9, -1e9]]], np.float32)])
    assert written.read(0, 1).tolist() == [[[65504.0, -65504.0]]]


class Counting:
    """An encoder that counts how often it works."""

    def __init__(self, encoder: WhisperListener) -> None:
        self.hearing, self.filters, self.fingerprint = encoder.hearing, encoder.filters, encoder.fingerprint
        self.window_steps, self.states, self.width = encoder.window_steps, encoder.states, encoder.width
        self._encoder = encoder
        self.calls = 0

    def encode(self, mel: Float32Array) -> Float32Array:
        self.calls += 1
        return self._encoder.encode(mel)


def test_a_voice_is_encoded_once(encoder: WhisperListener, tmp_path: Path) -> None:
    counting, cache = Counting(encoder), FeatureCache(tmp_path / "cache")
    samples = speech(1.0)

    def measure(name: str, voice: Float32Array = samples, seams: Seams = "smooth") -> FeatureFile:
        return measure_features(blocks_of(voice, 5000), counting, tmp_path / name, seams=seams, cache=cache)

    first = measure("a.npy")
    second = measure("b.npy")
    assert counting.calls == 1
    assert second.path == tmp_path / "b.npy"
    assert second.path.read_bytes() == first.path.read_bytes()
    measure("c.npy", speech(1.0, seed=1))
    measure("d.npy", seams="upstream")
    counting.fingerprint = "other"
    measure("e.npy")
    assert counting.calls == 4
    shutil.rmtree(tmp_path / "cache")
    assert second.read(0, 1).any()  # what was handed out stays


def test_a_damaged_entry_is_measured_again(encoder: WhisperListener, tmp_path: Path) -> None:
    counting, cache = Counting(encoder), FeatureCache(tmp_path / "cache")
    measure_features([speech(0.5)], counting, tmp_path / "a.npy", cache=cache).path.unlink()
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    measured = measure_features([speech(0.5)], counting, tmp_path / "b.npy", cache=cache)
    assert counting.calls == 2
    assert FeatureFile.open(kept).steps == measured.steps == 25


def test_the_cache_is_bounded_and_forgets_what_was_used_longest_ago(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    values = np.ones((10, 5, 16), np.float32)
    source = write_features(tmp_path / "f.npy", values.shape, [values])
    size = source.path.stat().st_size
    cache = FeatureCache(folder, max_bytes=2 * size)
    folder.mkdir()
    (folder / "notes.txt").write_text("not ours")
    for age, key in enumerate(("a", "b")):
        source.path.unlink(missing_ok=True)
        cache.store(key, write_features(source.path, values.shape, [values]))
        kept = folder / f"features-{key}.npy"
        os.utime(kept, ns=(age, age))
    assert cache.fetch("a", tmp_path / "got.npy") is not None  # now "b" is the oldest
    cache.store("c", write_features(source.path, values.shape, [values]))
    assert sorted(path.name for path in folder.iterdir()) == ["features-a.npy", "features-c.npy", "notes.txt"]
    assert cache.fetch("b", tmp_path / "none.npy") is None
    FeatureCache(folder, max_bytes=size - 1).store("d", source)
    assert not (folder / "features-d.npy").exists()


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(encoder: WhisperListener, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = FeatureCache(tmp_path / "file" / "cache")
    file = measure_features([speech(0.5)], encoder, tmp_path / "voice.npy", cache=cache)
    assert file.read(0, 25).any()


def test_published_configuration_is_understood(folder: Path, tmp_path: Path) -> None:
    """The published preprocessor carries its filters and its processor's name along."""
    published = copy_of(folder, tmp_path / "whisper")
    path = published / "preprocessor_config.json"
    values = json.loads(path.read_text())
    values |= {"mel_filters": [[0.0]], "processor_class": "WhisperProcessor", "n_samples": 48_000}
    path.write_text(json.dumps(values))
    assert load_whisper(published, shape=SHAPE).filters.shape == (201, 80)
