"""Voices whose files lie in the folder of models: networks in the formats of Piper and Kokoro."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import CheckpointError, PackageError, SpeechError
from musetalk.tts.english import EnglishReader
from musetalk.tts.kokoro import KOKORO_IDS, KokoroNetwork, read_styles
from musetalk.tts.network_voice import NetworkVoice, Sound
from musetalk.tts.piper import PiperNetwork, read_piper_config
from musetalk.tts.registry import VoiceRegistry
from musetalk.tts.spec import Reading
from musetalk.weights.part_spec import Place
from musetalk.weights.voice_catalog import KOKORO_MODEL, KOKORO_STYLES
from tests.helpers.voices_small import HOP, PIPER_RATE, UNIT, styles, write_kokoro, write_piper


def piper(path: Path, **said: bool) -> PiperNetwork:
    write_piper(path, **said)
    return PiperNetwork(path, read_piper_config(path.with_name(f"{path.name}.json")))


def said(network: PiperNetwork, letters: str, speed: float = 1.0, seed: int = 1) -> Sound:
    return network.run(letters, speed, np.random.default_rng(seed))


class TestPiper:
    def test_its_graph_tells_when_letters_are_spoken(self, tmp_path: Path) -> None:
        sound = said(piper(tmp_path / "a.onnx"), "həlɑː")
        assert sound.borders is not None
        assert len(sound.borders) == 6
        assert (np.diff(sound.borders) > 0).all()
        assert sound.borders[-1] <= len(sound.samples) / PIPER_RATE
        assert len(sound.samples) % HOP == 0

    def test_the_same_text_sounds_the_same_though_there_is_chance_in_it(self, tmp_path: Path) -> None:
        network = piper(tmp_path / "a.onnx")
        first = said(network, "həlɑː")
        said(network, "ɑ", seed=2)
        assert np.array_equal(said(network, "həlɑː").samples, first.samples)
        other = said(network, "həlɑː", seed=2)
        assert not np.array_equal(other.samples[:HOP], first.samples[:HOP])
        assert first.samples.std() == pytest.approx(0.1, rel=0.1)  # as loud as the file beside it asks for

    def test_faster_is_shorter(self, tmp_path: Path) -> None:
        network = piper(tmp_path / "a.onnx")
        assert len(said(network, "həlɑː" * 5, 2.0).samples) < 0.7 * len(said(network, "həlɑː" * 5).samples)

    def test_without_lengths_in_the_graph_times_come_from_the_sound(self, tmp_path: Path) -> None:
        network = piper(tmp_path / "a.onnx", lengths=False)
        assert not network.tells_lengths
        assert said(network, "həlɑː").borders is None

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"phoneme_type": "pinyin"}, "phoneme_type"),
            ({"audio": {"sample_rate": 1}}, "audio.sample_rate"),
            ({"phoneme_id_map": {"a": [1], "b": [2], "c": [3], "d": [4]}}, r"has no \$ \^ _"),
            ({"vowel_clusters": [["a", "ɪ"]]}, "vowel_clusters"),
        ],
    )
    def test_what_is_beside_it_is_checked(self, tmp_path: Path, change: dict[str, object], problem: str) -> None:
        path = write_piper(tmp_path / "a.onnx")
        beside = path.with_name("a.onnx.json")
        beside.write_text(json.dumps(json.loads(beside.read_text("utf-8")) | change), "utf-8")
        with pytest.raises(CheckpointError, match=problem):
            read_piper_config(beside)

    @pytest.mark.parametrize("damage", [b"no model", b"", b"\x3a\xff\xff\x03cut off"])
    def test_what_is_no_network_is_told(self, tmp_path: Path, damage: bytes) -> None:
        path = write_piper(tmp_path / "a.onnx")
        config = read_piper_config(path.with_name("a.onnx.json"))
        path.write_bytes(damage)
        with pytest.raises(CheckpointError, match="is no ONNX model, or damaged"):
            PiperNetwork(path, config)


class TestEspeakReader:
    @pytest.fixture(autouse=True)
    def _espeak(self) -> None:
        pytest.importorskip("espeakng_loader")

    def voice(self, folder: Path) -> NetworkVoice:
        write_piper(folder / "piper" / "me.onnx")
        opened = VoiceRegistry().open("piper:me", Place(folder))
        assert isinstance(opened, NetworkVoice)
        return opened

    def test_words_have_times_as_they_are_written(self, tmp_path: Path) -> None:
        text = "Of the many ways, I paid $9.99 — wow! That is 3.5 km."
        speech = self.voice(tmp_path).speak(text)
        assert [word.text for word in speech.words] == text.split()
        times = [time for word in speech.words for time in (word.start, word.stop)]
        assert times == sorted(times)
        lengths = {word.text: word.stop - word.start for word in speech.words}
        assert lengths["$9.99"] > lengths["paid"]
        assert lengths["—"] == 0.0
        assert "".join(sound.ipa for sound in speech.phonemes).startswith("ʌvðəmɛniweɪz")

    def test_marks_are_read_and_abbreviations_end_nothing(self, tmp_path: Path) -> None:
        words = self.voice(tmp_path)._reader.read("Yes, Dr. Smith; really? [GIF](say: jiff) and [hi](/hæ/).")
        assert [(word.text, word.letters[-1]) for word in words] == [
            ("Yes,", ","),
            ("Dr.", "ɚ"),
            ("Smith;", ";"),
            ("really?", "?"),
            ("jiff", "f"),
            ("and", "d"),
            ("hi", "."),
        ]

    def test_what_cannot_be_said_is_told(self, tmp_path: Path) -> None:
        voice = self.voice(tmp_path)
        with pytest.raises(SpeechError, match="nothing to say"):
            voice.speak("— …")
        with pytest.raises(SpeechError, match="the sound ʘ in the note /ʘa/"):
            voice.speak("[x](/ʘa/)")
        with pytest.raises(SpeechError, match='speaks "en-us", not "de"'):
            VoiceRegistry().open("piper:me", Place(tmp_path), Reading(language="de"))


class TestKokoro:
    def test_it_writes_sounds_as_the_reader_of_english_does(self) -> None:
        assert EnglishReader().ids == KOKORO_IDS

    @pytest.mark.parametrize("tokens", ["tokens", "input_ids"])
    def test_the_style_is_that_of_so_many_letters(self, tmp_path: Path, tokens: str) -> None:
        network = KokoroNetwork(write_kokoro(tmp_path / "k.onnx", tokens=tokens), styles()[:, 0])
        for count in (1, 7, 510):
            sound = network.run("a" * count, 1.0, np.random.default_rng(0))
            assert sound.samples[0] == pytest.approx(count / 1000)

    def test_its_graph_tells_when_letters_are_spoken(self, tmp_path: Path) -> None:
        network = KokoroNetwork(write_kokoro(tmp_path / "k.onnx"), styles()[:, 0])
        sound = network.run("mˈæp", 1.0, np.random.default_rng(0))
        ids = [0, 55, 156, 72, 58, 0]
        ends = np.cumsum(np.maximum(np.round(np.array(ids) * 0.02), 1)) - 3
        assert sound.borders is not None
        assert sound.borders.tolist() == pytest.approx(np.maximum(ends[:-1], 0) * UNIT / 24_000)
        assert len(sound.samples) == (ends[-1] + 3) * UNIT

    def test_styles_of_all_voices_or_of_one_are_read(self, tmp_path: Path) -> None:
        with (tmp_path / "voices.bin").open("wb") as file:
            np.savez(file, af_heart=styles(), bm_lewis=styles() * 2)
        (tmp_path / "af_heart.bin").write_bytes(styles().tobytes())
        assert np.array_equal(read_styles(tmp_path / "voices.bin", "af_heart"), styles()[:, 0])
        assert np.array_equal(read_styles(tmp_path / "af_heart.bin", "af_heart"), styles()[:, 0])
        for name, damage in (("voices.bin", None), ("af_heart.bin", b"abc"), ("voices.bin", b"PK damaged")):
            if damage is not None:
                (tmp_path / name).write_bytes(damage)
            with pytest.raises(CheckpointError, match="voice"):
                read_styles(tmp_path / name, "nobody")


class TestByFile:
    def test_kokoro_reads_american_english_without_more_packages(self, tmp_path: Path) -> None:
        place = Place(tmp_path)
        with pytest.raises(PackageError, match=r"kokoro-v1.0.onnx, kokoro/voices-v1.0.bin missing.*download kokoro"):
            VoiceRegistry().open("kokoro:am_puck", place)
        int8 = KOKORO_MODEL.alternatives[1]
        write_kokoro(tmp_path / "kokoro/onnx/model.onnx")  # one publisher's network, the styles of one voice
        (tmp_path / "kokoro/voices").mkdir()
        (tmp_path / "kokoro/voices/am_puck.bin").write_bytes(styles().tobytes())
        voice = VoiceRegistry().open("kokoro:am_puck", place)
        speech = voice.speak("Papa made apple pie, again.")
        assert [word.text for word in speech.words] == ["Papa", "made", "apple", "pie,", "again."]
        assert "".join(sound.ipa for sound in speech.phonemes) == "pɑpəmeɪdæpəlpaɪəɡɛn"
        assert voice.fingerprint.startswith("kokoro am_puck ")
        write_kokoro(tmp_path / int8.path)  # of another size than the published one
        with pytest.raises(PackageError, match=r"weights adopt kokoro/kokoro-v1.0.int8.onnx"):
            VoiceRegistry().open("kokoro:am_puck", place)
        assert not (tmp_path / KOKORO_STYLES.path).exists()

    def test_voices_that_lie_there_are_among_those_that_can_be_chosen(self, tmp_path: Path) -> None:
        write_piper(tmp_path / "piper" / "fi_FI-me-low.onnx")
        (tmp_path / "piper" / "half.onnx").write_bytes(b"")
        voices = {voice.name: voice for voice in VoiceRegistry().voices(tmp_path)}
        assert list(voices)[:3] == ["hibari", "espeak", "piper:en_US-lessac-medium"]
        assert voices["piper:fi_FI-me-low"].title == "me, fi_FI (Piper, low)"
        assert "half.onnx.json is missing" in voices["piper:half"].lacks(tmp_path)[0]
        (missing, *_) = voices["piper:en_US-lessac-medium"].lacks(tmp_path)
        assert "(63 MB): python -m musetalk weights download piper:en_US-lessac-medium" in missing
        assert {voice.name.partition(":")[0] for voice in voices.values()} == {"hibari", "espeak", "piper", "kokoro"}

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("piper:nobody", "NAME.onnx.json"),
            ("kokoro:jf_alpha", "choose one of: af_heart"),
            ("hibari:x", 'write "hibari" alone'),
        ],
    )
    def test_a_voice_that_is_not_in_a_family_is_told(self, tmp_path: Path, name: str, said: str) -> None:
        with pytest.raises(SpeechError, match=f'no speaking voice "{name}".*{said}'):
            VoiceRegistry().open(name, Place(tmp_path))

    def test_a_family_alone_is_its_first_voice_that_is_ready(self, tmp_path: Path) -> None:
        assert VoiceRegistry().find("kokoro", tmp_path).name == "kokoro:af_heart"
        assert VoiceRegistry().find("piper", tmp_path).name == "piper:en_US-lessac-medium"
