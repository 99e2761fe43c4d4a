"""The Presenter tab's handlers: scripts are read aloud, told about where they are wrong, and become jobs."""

from __future__ import annotations

import asyncio
import json
import shutil
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import gradio as gr
import numpy as np
import pytest

from musetalk.assets import PORTRAIT, VOICE
from musetalk.avatars.store import AvatarStore
from musetalk.errors import NoJobError
from musetalk.jobs.job import Job
from musetalk.jobs.service import JobService
from musetalk.jobs.store import JobStore
from musetalk.lipsync import LipSync
from musetalk.pipeline.forecast import CostBook, Costs
from musetalk.presenter.script import parse_script
from musetalk.presenter.talk import ShownSlide, SpokenPassage, Talk
from musetalk.presenter.talk_file import TalkFile, read_talk
from musetalk.settings import RenderSettings
from musetalk.tts.types import TimedWord
from musetalk.webui.avatars import Avatars
from musetalk.webui.downloads import Downloads
from musetalk.webui.form.voice_picker import voice_choices
from musetalk.webui.html.talk_timeline import talk_timeline
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.readings import MOST_LETTERS, ReadingTask
from musetalk.webui.site import Site, owner_of
from musetalk.webui.tabs.estimates import Estimates
from musetalk.webui.tabs.job_watcher import Update
from musetalk.webui.tabs.presenter_handlers import TalkHandlers, TalkInputs
from musetalk.webui.tabs.presenter_stage import (
    TalkStage,
    build_choices,
    build_script,
    build_speaker,
    build_talk_stage,
    build_voice_choice,
)
from musetalk.webui.tabs.slides_input import SlidesHandlers
from musetalk.webui.talks import own_settings
from musetalk.webui.uploads import Uploads
from tests.helpers.held_engine import LONGEST, Engine
from tests.helpers.html_page import Page
from tests.helpers.voices_small import styles, write_kokoro

pytestmark = pytest.mark.slow
# In the order of the choices: how it looks, captions in the picture, what is heard, who speaks.
DRAFT = ("draft", "full", "16:9", False, "voice", "hibari", "", 1.5, "source", None)
SCRIPT = "# A talk\n\nHello.\n\n[slide pics/one.png]\n- first\n"


@dataclass(frozen=True)
class Tab:
    """The tab's handlers, and what they stand on."""

    site: Site
    handlers: TalkHandlers
    stage: TalkStage
    costs: dict[str, float]

    def asked(self, visit: str = "a") -> gr.Request:
        return cast("gr.Request", SimpleNamespace(username=None, session_hash=visit))

    def upload(self, name: str) -> Path:
        path = self.site.uploads.folder / f"of {name}" / name
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.full((36, 64, 3), 90, np.uint8))
        return path

    def read(self, text: str, *slides: Path, visit: str = "a") -> ReadingTask:
        """The reading of a script, when it has ended."""
        self.handlers.read(self.asked(visit), text, [*map(str, slides)], None, *DRAFT)
        return self.ended(visit)

    def ended(self, visit: str = "a") -> ReadingTask:
        task = self.site.readings.newest(visit)
        assert task is not None
        self.site.readings.wait(task)
        return task

    def told(self, visit: str = "a") -> Update:
        return self.handlers.watch_reading(self.asked(visit), "", visit)

    def made(
        self,
        text: str,
        *slides: Path,
        visit: str = "a",
        source: Path | None = PORTRAIT,
        recording: Path | None = None,
        anyway: bool = False,
        **said: object,
    ) -> Iterator[Update]:
        """What is shown of a talk that a visitor asks for, who is called as the visit; `said`: choices."""
        pressed = cast(
            "gr.EventData", SimpleNamespace(target=self.stage.question if anyway else self.stage.make_button)
        )
        values = {**dict(zip(self.handlers.inputs.choices.widgets, DRAFT, strict=True)), **said}
        files = ([*map(str, slides)], recording and str(recording))
        return self.handlers.make(
            self.asked(visit), pressed, source and str(source), visit, text, *files, *values.values()
        )

    def make(self, text: str, *slides: Path, **asked: Any) -> Update:  # noqa: ANN401 - as `made` takes them
        """The last of that."""
        *_, last = self.made(text, *slides, **asked)
        return last

    def job(self, update: Update, visit: str = "a") -> Job:
        return self.site.jobs.get(update[self.stage.job], owner_of(visit, self.asked(visit)))

    def talk(self, job: Job) -> TalkFile:
        [step] = job.settings.frame_steps
        path = Path(str(step.options["file"]))
        assert path.is_relative_to(self.site.jobs.store.folder(job))
        return read_talk(path)

    @property
    def at_script(self) -> gr.HTML:
        return self.handlers.inputs.script.problem


@pytest.fixture(scope="module")
def built() -> tuple[TalkStage, TalkInputs]:
    async def build() -> tuple[TalkStage, TalkInputs]:
        with gr.Blocks(analytics_enabled=False):
            site = cast("Site", SimpleNamespace(base=RenderSettings(), avatars=None))
            looks = cast("MediaLooks", SimpleNamespace(source=None, voice=None))
            script, speaker, voice = build_script(site), build_speaker(site, looks), build_voice_choice(site, looks)
            inputs = TalkInputs(site, speaker, voice, script, build_choices(speaker, voice))
            return build_talk_stage(gr.HTML()), inputs

    return asyncio.run(build())  # Gradio would else leave an event loop of its own behind


@pytest.fixture
def tab(tmp_path: Path, built: tuple[TalkStage, TalkInputs]) -> Iterator[Tab]:
    models, costs = tmp_path / "models", {"paint": 0.1}
    store = JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=10**8)
    usual = Costs(begin=1, plan=0, parse=0, speech=0, paint=0, other=0, finish=1)
    book = CostBook(tmp_path / "costs.json", lambda _: usual.model_copy(update=costs))
    engine = Engine()
    avatars = AvatarStore(tmp_path / "avatars")
    service = JobService([engine], store, costs=book, avatars=avatars)
    uploads, downloads = Uploads(tmp_path / "uploads", 10**8), Downloads((), models, allowed=False)
    base = RenderSettings(models_dir=models)
    lipsync = LipSync()
    speaking = Avatars(avatars, lipsync, base, 10**8, lambda _: False)
    site = Site(lipsync, service, base, "cpu", uploads, downloads, avatars=speaking)
    stage, given = built
    inputs = replace(given, site=site)
    yield Tab(site, TalkHandlers(site, stage, inputs, Estimates(site)), stage, costs)
    engine.go.release(5)
    downloads.close()
    site.readings.close()
    service.close()


def test_a_script_is_heard_and_shown_at_its_times(tab: Tab) -> None:
    slide = tab.upload("one.png")
    begun = tab.handlers.read(tab.asked(), SCRIPT, [str(slide)], None, *DRAFT)
    assert begun[tab.stage.clock].active
    found = tab.ended().found
    assert found is not None
    shown = tab.told()
    assert not shown[tab.stage.clock].active
    page = Page(shown[tab.stage.reading])
    [sound] = [facts for name, facts in page.elements if name == "audio"]
    assert str(sound["src"]).endswith(str(found.voice))
    with wave.open(str(found.voice)) as file:
        assert file.getnframes() / file.getframerate() == found.talk.seconds
    times = [facts["data-at"] for name, facts in page.elements if name == "button"]
    title, text, bullet = (f"{passage.start:.3f}" for passage in found.talk.passages)
    assert times == [title, text, f"{found.talk.slides[0].start:.3f}", bullet]


def test_it_becomes_a_job_with_files_of_its_own(tab: Tab) -> None:
    slide = tab.upload("one.png")
    job = tab.job(tab.make(SCRIPT, slide))
    assert (job.title, job.settings.backend, job.settings.encoder.crf) == ("A talk", "preview", 23)
    file, folder = tab.talk(job), tab.site.jobs.store.folder(job)
    [shown] = file.talk.slides
    assert shown.path is not None
    assert shown.path.is_relative_to(folder)
    assert shown.path.read_bytes() == slide.read_bytes()
    assert (file.layout, file.aspect, file.shorter) == ("full", "16:9", 480)
    assert job.settings.captions is not None
    assert job.settings.captions.is_relative_to(folder)
    assert job.settings.speech.phonemes is not None
    assert job.settings.speech.phonemes.is_relative_to(folder)
    assert "Hello." in job.settings.captions.read_text("utf-8")
    assert (folder / job.voice).stat().st_size > 10_000
    assert str(folder) not in str(own_settings(job).by_name())  # what the list of jobs says


def test_it_is_given_back(tab: Tab) -> None:
    job, inputs = tab.job(tab.make(SCRIPT, tab.upload("one.png"))), tab.handlers.inputs
    back = inputs.of_job(job)
    assert back[inputs.script.text] == SCRIPT
    held = [back[widget] for widget in inputs.choices.widgets.values()]
    assert tuple(getattr(each, "value", each) for each in held) == DRAFT
    assert Path(back[inputs.source]).name == PORTRAIT.name
    [slide] = map(Path, back[inputs.script.slides.files])
    assert (slide.name, tab.site.uploads.kept(str(slide))) == ("one.png", slide)


def test_what_was_heard_is_not_read_again_but_made(tab: Tab) -> None:
    heard = tab.read("Hello.").found
    assert heard is not None
    job = tab.job(tab.make("Hello."))
    assert (tab.site.jobs.store.folder(job) / job.voice).samefile(heard.voice)
    again = tab.make("Hello.")
    assert again[tab.stage.job] == job.id  # a press too many
    assert tab.job(tab.make("Hallo.")).id != job.id


def test_an_avatar_speaks_as_a_job(tab: Tab) -> None:
    assert tab.site.avatars is not None
    store, inputs = tab.site.avatars.store, tab.handlers.inputs
    store.folder.mkdir()
    avatar = tab.site.engine.create_avatar(PORTRAIT, store.place("Ann"), RenderSettings(backend="preview"))
    [offered, *_] = inputs.offered("Bob", "hibari").values()
    assert (offered.value, offered.choices) == ("Ann", [("Ann", "Ann")])
    refreshed = tab.handlers.refresh("Ann", "hibari")[inputs.speaker.avatar]
    assert set(refreshed.constructor_args) == {"choices"}  # what is chosen meanwhile stays
    job = tab.job(tab.make("Hello.", source=None, speaker="avatar", avatar="Ann"))
    engine = cast("Engine", tab.site.jobs._engines[0])
    engine.go.release()
    assert tab.site.jobs.wait(job, LONGEST).state == "done"
    assert (job.avatar, engine.spoke) == (avatar.id, [avatar.id])
    back = inputs.of_job(job)
    assert (back[inputs.speaker.speaker], back[inputs.speaker.avatar].value, back[inputs.source]) == (
        "avatar",
        "Ann",
        None,
    )

    store.delete("Ann")
    told = tab.make("Hello.", source=None, speaker="avatar", avatar="Ann")
    assert 'There is no avatar "Ann"' in Page(told[inputs.speaker.source.problem]).text


def test_a_recording_is_timed_and_spoken(tab: Tab) -> None:
    upload = tab.site.uploads.folder / "of it" / "said.wav"
    upload.parent.mkdir(parents=True)
    shutil.copyfile(VOICE, upload)
    job = tab.job(tab.make("# Title\n\n- one", recording=upload, heard="recording"))
    found = tab.ended().found
    assert found is not None
    with wave.open(str(VOICE)) as file:
        assert found.talk.seconds == pytest.approx(file.getnframes() / file.getframerate(), abs=0.05)
    spoken = tab.told()[tab.stage.reading]
    assert ("told from their lengths" in spoken) == bool(found.notes)  # where nothing aligns
    inputs = tab.handlers.inputs
    back = inputs.of_job(job)
    assert back[inputs.voice.heard] == "recording"
    assert Path(back[inputs.recording]).read_bytes() == found.voice.read_bytes()
    told = tab.make("Hello.", heard="recording")
    assert "There is no recording yet" in Page(told[tab.at_script]).text


def test_two_scripts_at_once_do_not_mix(tab: Tab) -> None:
    words = {"ann": "Apples", "bob": "Bananas"}
    for visit, word in words.items():
        tab.handlers.read(tab.asked(visit), f"# {word}", None, None, *DRAFT)
    jobs = {visit: tab.job(tab.make(f"# {word}", visit=visit), visit) for visit, word in words.items()}
    for visit, other in (("ann", "bob"), ("bob", "ann")):
        assert [each.text for each in tab.talk(jobs[visit]).talk.words] == [words[visit]]
        heard = tab.told(visit)[tab.stage.reading]
        assert words[visit] in heard
        assert words[other] not in heard
        with pytest.raises(NoJobError):
            tab.job({tab.stage.job: jobs[visit].id}, other)


def test_a_second_press_replaces_the_first_and_leaving_ends_it(tab: Tab) -> None:
    tab.handlers.read(tab.asked(), "Apples. " * 500, None, None, *DRAFT)
    first = tab.site.readings.newest("a")
    second = tab.read("Bananas.")
    assert first is not None
    assert (first.state, second.state) == ("stopped", "done")
    tab.handlers.read(tab.asked(), "Cherries. " * 500, None, None, *DRAFT)
    third = tab.site.readings.newest("a")
    assert third is not None
    tab.handlers.leave(tab.asked())
    assert (third.state, tab.site.readings.newest("a")) == ("stopped", None)


def test_stop_ends_a_reading_and_what_waits_for_it(tab: Tab) -> None:
    making = tab.made("Apples. " * 500)
    assert next(making)[tab.stage.stop_button].interactive
    stopped = tab.handlers.stop(tab.asked(), "", "a")
    assert stopped[tab.stage.reading] == ""
    assert not stopped[tab.stage.stop_button].interactive
    assert tab.stage.status not in next(making)
    assert tab.site.jobs.waiting() == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello.\n\n[slide two.png]", "Line 3 of the script shows two.png, which is not there"),
        ("Hello.\n[slide /etc/hostname]", "or add the picture under Slides"),
        ("", "The script says nothing"),
        ("Hello.\n\n[shout]", "Line 3"),
        ("a" * (MOST_LETTERS + 1), "too long for the page"),
    ],
)
def test_what_is_wrong_is_told_at_the_script(tab: Tab, text: str, said: str) -> None:
    assert said in Page(tab.make(text, tab.upload("one.png"))[tab.at_script]).text
    assert tab.site.jobs.waiting() == 0


def test_what_is_found_while_it_is_read_is_told_there_too(tab: Tab) -> None:
    damaged = tab.upload("one.png")
    damaged.write_bytes(b"no picture")
    assert tab.read(SCRIPT, damaged).state == "failed"
    shown = tab.told()
    assert "line 5" in Page(shown[tab.at_script]).text.lower()
    assert shown[tab.stage.reading] == ""
    assert not [*(tab.site.uploads.folder).glob("copies/*")]  # nothing is left of it


def test_only_uploads_are_slides_and_without_a_source_nothing_is_made(tab: Tab, tmp_path: Path) -> None:
    foreign = tmp_path / "one.png"
    foreign.write_bytes(PORTRAIT.read_bytes())
    assert "no longer here" in Page(tab.make(SCRIPT, foreign)[tab.stage.problem]).text
    [told] = tab.made("Hello.", source=None)
    assert "There is no source yet" in Page(told[tab.handlers.inputs.speaker.source.problem]).text


def test_slides_are_held_by_name_and_removed(tab: Tab) -> None:
    script, (one, two) = tab.handlers.inputs.script, (tab.upload("one.png"), tab.upload("two.png"))
    handlers = SlidesHandlers(tab.site, script.slides)
    taken = handlers.take(cast("gr.EventData", SimpleNamespace(paths=[str(two)])), [str(one)])
    assert taken[script.slides.files] == [str(one), str(two)]
    assert "[slide two.png]" in Page(taken[script.slides.box]).text
    left = handlers.remove(cast("gr.EventData", SimpleNamespace(place=0)), [str(one), str(two)])
    assert left[script.slides.files] == [str(two)]
    foreign = handlers.take(cast("gr.EventData", SimpleNamespace(paths=[str(PORTRAIT)])), [str(one)])
    assert script.slides.files not in foreign


def test_what_takes_over_an_hour_is_asked_about_first(tab: Tab) -> None:
    tab.costs["paint"] = 10_000.0
    asked = tab.make("Hello.")
    assert "Start all the same" in asked[tab.stage.question]
    assert tab.site.jobs.waiting() == 0
    assert tab.job(tab.make("Hello.", anyway=True)).active


def test_a_talk_that_is_done_offers_its_captions(tab: Tab) -> None:
    job = tab.job(tab.make("Hello."))
    cast("Engine", tab.site.jobs._engines[0]).go.release()
    assert tab.site.jobs.wait(job, LONGEST).state == "done"
    shown = tab.handlers.watch(tab.asked(), job.id, "a")
    links = [facts for name, facts in Page(shown[tab.stage.files]).elements if name == "a"]
    assert [link["download"] for link in links] == ["Hello.srt", "Hello.vtt"]
    files = [Path(str(link["href"]).partition("file=")[2]) for link in links]
    assert ["-->" in file.read_text("utf-8") for file in files] == [True, True]
    assert "Choose another quality" in shown[tab.stage.report]


def test_pauses_and_slides_stand_where_they_are_and_signs_are_escaped() -> None:
    script = parse_script("# \\<b>\n[pause 2]\n[slide x.png]\n\nSo \\<i>.\n[slide none]\n", Path)
    words = [(TimedWord("<b>", 0.5, 1.0),), (TimedWord("So", 3.0, 3.5),)]
    spoken = tuple(SpokenPassage(item, said) for item, said in zip(script.passages, words, strict=True))
    slides = (ShownSlide(Path("x<.png"), 2.9, 3), ShownSlide(None, 3.6, 6))
    page = Page(talk_timeline(script, Talk(4.0, spoken, slides, ()), "a.wav", ("no <font>",)))
    bars = [(facts["data-kind"], facts["style"]) for name, facts in page.elements if name == "i" and "style" in facts]
    assert bars == [
        ("title", "left:12.500%;width:12.500%"),
        ("pause", "left:25.000%;width:50.000%"),
        ("slide", "left:72.500%;width:17.500%"),
        ("text", "left:75.000%;width:12.500%"),
    ]
    assert "0:00.5" in page.text
    assert [json.dumps(name) for name, _ in page.elements if name in ("b", "font")] == []


def test_voices_that_lack_files_are_shown_as_such_and_chosen_once_they_are_here(tab: Tab) -> None:
    models = tab.site.base.models_dir
    marked = {name: title for title, name in voice_choices(models)}
    assert marked["hibari"] == "Heart, American English"
    assert marked["kokoro:af_heart"] == "Heart, American English (Kokoro): not here yet"
    assert "kokoro:am_puck" not in marked  # it lacks the same
    assert "kokoro-v1.0.onnx" in Page(tab.handlers.lacks("kokoro:af_heart")).text
    assert tab.handlers.lacks("hibari") == ""
    asked = [each if each != "hibari" else "kokoro:af_heart" for each in DRAFT]
    tab.handlers.read(tab.asked(), "Hello.", None, None, *asked)
    tab.ended()
    assert "kokoro-v1.0.onnx" in Page(tab.told()[tab.at_script]).text
    write_kokoro(models / "kokoro/onnx/model.onnx")
    (models / "kokoro/voices").mkdir()
    (models / "kokoro/voices/af_heart.bin").write_bytes(styles().tobytes())
    tab.handlers.read(tab.asked(), "Hello.", None, None, *asked)
    found = tab.ended().found
    assert found is not None
    assert [word.text for word in found.talk.words] == ["Hello."]
