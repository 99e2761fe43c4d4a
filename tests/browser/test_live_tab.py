"""The Live tab: an avatar speaks in the page while a voice arrives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from musetalk.assets import PORTRAIT
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from tests.browser.drive import BY_OTHERS, Clips, Locator, Visit, WebSocket, expect
from tests.browser.test_access import others, severe_by_day_and_night, sticking_out
from tests.helpers.media import tone, write_wav
from tests.helpers.served import Served, served
from tests.helpers.standing_network import network_to

pytestmark = [pytest.mark.integration, BY_OTHERS]
SOUND_TRACK, AAC_SAMPLES, AAC_RATE = 2, 1024, 48_000
SILENT = 20  # bytes of a packet of AAC in which a tone is heard are more by that
HEADS = 130  # bytes of a fragment beside its packet, and some
PLAYED = """video => Array.from({ length: video.played.length },
  (_, each) => [video.played.start(each), video.played.end(each)])"""
NOW = "[performance.now(), document.querySelector('#live video').currentTime]"
STOOD_STILL = """([since, shown]) => {
  const { readyState, currentTime } = document.querySelector("#live video");
  return readyState < HTMLMediaElement.HAVE_FUTURE_DATA && currentTime >= shown && performance.now() > since + 2000;
}"""
CAUGHT_UP = """before => {
  const video = document.querySelector("#live video"), { buffered } = video;
  return video.currentTime > before && buffered.end(buffered.length - 1) - video.currentTime < 1;
}"""


@dataclass
class Heard:
    """What the server sent to a page."""

    events: list[dict[str, Any]] = field(default_factory=list)
    sounds: dict[int, int] = field(default_factory=dict)  # bytes of each packet, by its number

    def take(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            self.events.append(json.loads(payload))
        elif payload[4:8] == b"moof" and _number(payload, b"tfhd", 4) == SOUND_TRACK:
            self.sounds[_number(payload, b"tfdt", 8) // AAC_SAMPLES] = len(payload)

    @property
    def spoken(self) -> list[tuple[float, float]]:
        """From when until when a voice is spoken; one that arrives too slowly falters, and is several."""
        times = [each["time"] for each in self.events if each["type"] in {"speaking", "spoken"}]
        return list(zip(times[::2], times[1::2], strict=False))

    @property
    def seconds(self) -> float:
        return sum(end - begin for begin, end in self.spoken)

    @property
    def kinds(self) -> list[str]:
        return [each["type"] for each in self.events]

    @property
    def since_interrupted(self) -> list[str]:
        """The kinds of what came after the last interruption."""
        return self.kinds[::-1][: self.kinds[::-1].index("interrupted")]


def assert_sounding(heard: Heard) -> None:
    """All packets of sound have come, and wherever somebody speaks they hold more than silence."""
    sounds = heard.sounds
    assert sorted(sounds) == list(range(len(sounds)))
    for begin, end in heard.spoken:
        first, last = (round(time * AAC_RATE / AAC_SAMPLES) for time in (begin + 0.1, end - 0.2))
        for number in range(first, last):
            assert sounds[number] > min(sounds.values()) + SILENT


def assert_texts_are_read(stage: Stage) -> None:
    """What is typed is said; what cannot be said is refused beside it, and stays; an interruption silences it."""
    page = stage.visit.page
    text = page.get_by_label("Or type what is to be said")
    stage.visit.fill(text, "\u65e5\u672c\u8a9e")
    stage.press("Say")
    refused = page.get_by_role("form", name="Text").get_by_role("alert")
    expect(refused).to_contain_text("cannot be read aloud in English")
    text.press("ControlOrMeta+a")
    text.press_sequentially("One")
    text.press("Shift+Enter")
    page.keyboard.insert_text("two. " + 20 * "And so on. ")
    text.press("Enter")
    stage.says("Speaking")
    expect(refused).to_be_hidden()
    assert text.input_value().startswith("One\ntwo.")
    page.keyboard.press("Escape")
    stage.wait(lambda heard: heard.kinds.count("interrupted") == 2)  # the page listens before where a text falters
    stage.says("Listening")
    assert "speaking" not in stage.heard.since_interrupted


def _number(payload: bytes, box: bytes, size: int) -> int:
    place = payload.index(box) + 8  # behind its name, version and flags
    return int.from_bytes(payload[place : place + size])


@dataclass
class Stage:
    """The tab as a visitor uses it."""

    visit: Visit
    heard: Heard = field(default_factory=Heard)
    socket: WebSocket | None = None

    def open(self) -> Stage:
        page = self.visit.page
        page.on("websocket", self._listen)
        self.visit.open()
        expect(page.locator("#live")).to_have_count(0)  # nothing of it is there before it is wanted
        self.visit.tab("Live")
        expect(page.get_by_role("combobox", name="Avatar")).to_have_value("anna")
        return self

    def _listen(self, socket: WebSocket) -> None:
        self.socket = socket
        socket.on("framereceived", self.heard.take)

    def wait(self, until: Callable[[Heard], bool]) -> None:
        """Wait for something to be sent; video is sent all the time."""
        assert self.socket is not None
        self.socket.wait_for_event("framereceived", lambda _: until(self.heard))

    def press(self, name: str) -> None:
        self.visit.button(name).click()

    def says(self, text: str | re.Pattern[str]) -> None:
        expect(self.visit.page.locator("#live").get_by_role("status")).to_have_text(text)

    def speak(self, file: Path) -> None:
        self.visit.page.get_by_label("Speak a file").set_input_files(file)

    @property
    def video(self) -> Locator:
        return self.visit.page.locator("#live video")

    def figure(self, name: str) -> Locator:
        return self.visit.page.locator("#live .mt-chip").filter(has_text=name).locator("dd")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that lets one speak at a time."""
    folder = tmp_path_factory.mktemp("live")
    LipSync().create_avatar(PORTRAIT, folder / "avatars" / "anna", RenderSettings.parse({"backend": "preview"}))
    with served(folder / "jobs", "--avatars-dir", str(folder / "avatars"), "--live-sessions", "1") as server:
        yield server


def test_a_file_is_spoken_with_its_sound(new_visitor: Callable[..., Visit], server: Served, tmp_path: Path) -> None:
    stage = Stage(new_visitor(server.address)).open()
    stage.press("Start")
    stage.says("Listening")
    stage.speak(write_wav(tmp_path / "voice.wav", tone(2.0)))
    stage.wait(lambda heard: heard.seconds > 1.9)
    for name in ("Voice to picture", "Of that on the server", "Sound against picture", "Behind the newest"):
        expect(stage.figure(name)).to_have_text(re.compile(r"^-?\d+ ms$"))
    spoken, sounds = stage.heard.spoken, stage.heard.sounds
    stage.visit.page.wait_for_function(f"() => document.querySelector('#live video').currentTime > {spoken[-1][1]}")
    assert stage.video.evaluate("video => [video.videoWidth, video.buffered.length]") == [512, 1]  # without a hole
    assert_sounding(stage.heard)
    assert stage.heard.seconds == pytest.approx(2.0, abs=0.2)
    heard = stage.video.evaluate("video => video.webkitAudioDecodedByteCount")
    played = stage.video.evaluate(PLAYED)  # what comes much too late on a busy machine is left out
    packets = {number: number * AAC_SAMPLES / AAC_RATE for number in sounds}
    due = [number for number, time in packets.items() if any(begin <= time < end for begin, end in played)]
    assert heard > 0.9 * sum(sounds[number] - HEADS for number in due if packets[number] < spoken[-1][1])


def test_an_interruption_ends_the_speech_and_a_stall_is_made_up_for(
    new_visitor: Callable[..., Visit], server: Served, clips: Clips
) -> None:
    with network_to(server.address) as network:
        stage = Stage(new_visitor(network.address)).open()
        stage.speak(clips.long_voice)  # which begins a session by itself
        stage.says("Speaking")
        page = stage.visit.page
        with network.standing_still():
            since, shown = page.evaluate(NOW)
            page.wait_for_function(STOOD_STILL, arg=[since, shown])
        heard = stage.video.evaluate("video => video.webkitAudioDecodedByteCount")
        page.wait_for_function(CAUGHT_UP, arg=shown + 2)
        stage.wait(lambda told: told.kinds[-1] != "spoken")  # the voice that was held speaks on
        stage.says("Speaking")
        page.wait_for_function(
            "heard => document.querySelector('#live video').webkitAudioDecodedByteCount > heard", arg=heard
        )
        assert stage.video.evaluate("video => video.buffered.length") == 1
        page.keyboard.press("Escape")
        stage.wait(lambda heard: "interrupted" in heard.kinds)
        stage.says("Listening")
        spoken = stage.heard.spoken[-1][1]
        page.wait_for_function("after => document.querySelector('#live video').currentTime > after", arg=spoken + 0.5)
        assert_sounding(stage.heard)
        assert "speaking" not in stage.heard.since_interrupted  # nothing more of the file
        expect(stage.video).to_have_js_property("muted", False)  # as soon as that moment's picture is shown
        assert_texts_are_read(stage)
        stage.press("Stop")
        stage.says("Stopped.")
        assert stage.video.evaluate("video => video.paused") is True


def test_an_avatar_is_made_and_deleted_in_the_page(new_visitor: Callable[..., Visit], server: Served) -> None:
    stage = Stage(new_visitor(server.address)).open()
    page, visit = stage.visit.page, stage.visit
    avatar, told = page.get_by_role("combobox", name="Avatar"), page.locator(".mt-making").get_by_role("alert")
    visit.unfold("Make an avatar")
    visit.fill(page.get_by_label("Name", exact=True), "anna")
    stage.press("Make the avatar")
    expect(told).to_contain_text("choose a video or a picture first")
    visit.give_source(PORTRAIT)
    visit.held("source", PORTRAIT.name)
    stage.press("Make the avatar")
    expect(told).to_contain_text('There is an avatar "anna" already')
    visit.fill(page.get_by_label("Name", exact=True), "bert")
    stage.press("Make the avatar")
    expect(avatar).to_have_value("bert")
    expect(told).to_be_hidden()
    expect(page.locator(".mt-making").get_by_role("status")).to_have_text("bert is there")
    visit.press_twice("#live-avatar button")
    expect(avatar).to_have_value("anna")
    expect(avatar.locator("option")).to_have_count(1)


def test_browsers_that_take_no_video_from_a_page_play_hls(new_visitor: Callable[..., Visit], server: Served) -> None:
    visit = new_visitor(server.address, viewport={"width": 390, "height": 844}, is_mobile=True)
    visit.page.add_init_script("delete globalThis.MediaSource")
    if not visit.page.evaluate("document.createElement('video').canPlayType('application/vnd.apple.mpegurl')"):
        pytest.skip("this Chromium plays no HLS")
    stage = Stage(visit).open()
    stage.press("Start")
    stage.says("Listening")
    visit.page.wait_for_function(f"() => document.querySelector('#live video').currentTime > {1 / 2}")
    assert stage.video.evaluate("video => [video.videoWidth, video.webkitAudioDecodedByteCount > 0]") == [512, True]
    assert stage.heard.sounds == {}
    expect(stage.figure("Behind the newest")).to_have_text(re.compile(r"^\d+ ms$"))
    stage.press("Stop")
    stage.says("Stopped.")


def test_who_stops_or_leaves_makes_room(new_visitor: Callable[..., Visit], server: Served) -> None:
    first, second, third = (Stage(new_visitor(server.address)).open() for _ in range(3))
    first.press("Start")
    first.says("Listening")
    second.press("Start")
    second.says("Waiting, as number 1")
    third.press("Start")
    third.says("Waiting, as number 2")
    first.press("Stop")
    second.says("Listening")
    third.says("Waiting, as number 1")
    second.visit.page.goto(f"{server.address.rstrip('/')}/theme.css")
    third.says("Listening")
    third.press("Stop")
    third.says("Stopped.")
    assert [each["before"] for each in third.heard.events if each["type"] == "waiting"] == [1, 0]


def test_a_microphone_is_heard_where_it_is_allowed(new_visitor: Callable[..., Visit], server: Served) -> None:
    stage = Stage(new_visitor(server.address)).open()
    microphone = stage.visit.button("Microphone")
    microphone.click()
    expect(stage.visit.page.locator("#live").get_by_role("alert")).to_contain_text("not allowed")
    expect(microphone).to_have_attribute("aria-pressed", "false")
    stage.says("Listening")
    stage.visit.page.context.grant_permissions(["microphone"])
    microphone.click()
    stage.says("Speaking")
    expect(microphone).to_have_attribute("aria-pressed", "true")
    microphone.click()
    expect(microphone).to_have_attribute("aria-pressed", "false")
    stage.says("Listening")
    stage.visit.page.context.clear_permissions()


def test_it_is_for_everybody(new_visitor: Callable[..., Visit], server: Served) -> None:
    stage = Stage(new_visitor(server.address)).open()
    stage.visit.unfold("Make an avatar")
    for width, height in ((1280, 900), (390, 844)):
        stage.visit.resize(width, height)
        assert sticking_out(stage.visit) == []
        assert others(severe_by_day_and_night(stage.visit)) == set()
    for name in ("Dub", "Compare", "Presenter", "Live", "Jobs", "Models"):
        expect(stage.visit.page.get_by_role("tab", name=name, exact=True)).to_be_visible()  # in no menu
    stage.visit.unfold("Make an avatar")
    expect(stage.visit.page.get_by_label("Name", exact=True)).to_be_hidden()
    stage.visit.page.get_by_role("combobox", name="Avatar").focus()
    for name in ("Delete", "Make an avatar", "Start", "Microphone", "Speak a file", "Mute"):
        stage.visit.page.keyboard.press("Tab")
        focused = stage.visit.page.evaluate("document.activeElement.closest('button, label').innerText")
        assert focused.startswith(name)
