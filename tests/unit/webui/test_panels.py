"""The page's pieces of HTML: what they say in each state, and that nobody's file name becomes markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest

from musetalk.jobs.job import Job, JobProgress, JobState
from musetalk.pipeline.accounting import fallback_sentences
from musetalk.pipeline.report import Fallback
from musetalk.progress import Stage
from musetalk.settings import RenderSettings
from musetalk.webui.form.backend_picker import BackendEntry, backend_cards
from musetalk.webui.html import panels
from musetalk.webui.tabs.told import told_line
from tests.helpers.html_page import Page

HOSTILE = """<script>alert(1)</script>"><img src=x onerror='alert(2)'>${alert(3)}{{value}}`"""


def job(state: JobState = "queued", **changes: object) -> Job:
    known: dict[str, Any] = {
        "id": "0" * 31 + "1",
        "owner": "somebody",
        "video": "source.mp4",
        "voice": "_voice.wav",
        "result": "film_voice.mp4",
        "title": "take.mp4 speaking voice.wav",
        "settings": RenderSettings(),
        "state": state,
        "created": 1000.0,
    }
    return Job(**{**known, **changes})


def running(stage: Stage, done: int, total: int, **changes: object) -> Job:
    return job("running", started=1001.0, progress=JobProgress(stage=stage, done=done, total=total, **changes))


def report(**changes: object) -> dict[str, Any]:
    known: dict[str, Any] = {
        "output": "out.mp4",
        "frames": 250,
        "face_frames": 200,
        "passthrough_frames": 50,
        "fallback_frames": 0,
        "fallbacks": [],
        "spans": [{"start": 0, "stop": 200, "kind": "face"}, {"start": 200, "stop": 250, "kind": "cutaway"}],
        "loudness": [0.1, 0.8],
        "fps": "25",
        "voice_seconds": 10.0,
        "video_seconds": 10.0,
        "wall_seconds": 4.0,
        "stages": {"decode": 1.0, "encode": 2.0},
        "peak_rss_mb": 512.0,
        "backend": "preview",
        "device": "CPU",
        "warnings": [],
        "settings": {"backend": "preview", "encoder": {"crf": 18}, "coords_dir": None},
        "versions": {"numpy": "2.0"},
    }
    return {**known, **changes}


def record_fallback(fallback: Fallback, frames: int, said: Sequence[str]) -> dict[str, Any]:
    """What of a report a fallback changes."""
    changes = {"fallbacks": [asdict(fallback)], "fallback_frames": frames, "warnings": list(said)}
    return {"backend": "latentsync-1.5", **changes}


def announced(html: str) -> list[str]:
    """What the live regions say."""
    page = Page(html)
    live = {index for index, (_, found) in enumerate(page.elements) if found.get("role") in ("status", "alert")}
    assert live
    head = html.split('role="status">', 1)[1].split("<", 1)[0]
    alert = html.split('role="alert"', 1)[1].split(">", 1)[1].split("<", 1)[0]
    return [head, alert]


class TestStatus:
    def test_without_a_job_it_says_what_to_do(self) -> None:
        assert "Choose a source and a voice" in Page(panels.status_panel(None)).text

    @pytest.mark.parametrize(
        ("place", "says"),
        [(0, "Next in the queue"), (1, "Waiting: 1 render before this one"), (3, "Waiting: 3 renders before this one")],
    )
    def test_says_its_place_in_the_queue(self, place: int, says: str) -> None:
        assert announced(panels.status_panel(job(), place)) == [says, ""]

    def test_says_for_how_many_it_waits_at_the_device(self) -> None:
        says = "Waiting for the device: 1 with other networks has it first"
        assert announced(panels.status_panel(running("preflight", 4, 5, before=1))) == [says, ""]

    def test_progress_has_values_and_figures(self) -> None:
        page = Page(panels.status_panel(running("render", 120, 400, frames_per_second=24.13, seconds_left=11.7)))
        [bar] = page.having(role="progressbar")
        assert (bar["aria-valuenow"], bar["aria-valuemin"], bar["aria-valuemax"]) == ("30", "0", "100")
        assert bar["aria-valuetext"] == "frame 120 of 400"
        assert "24.1 frames/s" in page.text
        assert "0:12 left" in page.text

    def test_what_is_under_way_moves_the_bar_but_not_the_count(self) -> None:
        [bar] = Page(panels.status_panel(running("render", 8, 32, part=8.8))).having(role="progressbar")
        assert bar["aria-valuenow"] == "52"
        assert bar["aria-valuetext"] == "frame 8 of 32"

    def test_more_than_expected_is_no_more_than_all(self) -> None:
        [bar] = Page(panels.status_panel(running("plan", 90, 80))).having(role="progressbar")
        assert bar["aria-valuenow"] == "100"

    def test_unknown_length_has_no_value(self) -> None:
        [bar] = Page(panels.status_panel(running("speech", 0, 1))).having(role="progressbar")
        assert "aria-valuenow" not in bar

    def test_steps_before_the_present_one_are_done(self) -> None:
        page = Page(panels.status_panel(running("speech", 0, 1)))
        steps = [found["data-step"] for _, found in page.elements if "data-step" in found]
        assert steps == ["done", "done", "done", "now", "later", "later"]
        assert len(page.having(aria_current="step")) == 1

    def test_numbers_are_not_announced(self) -> None:
        early = panels.status_panel(running("render", 1, 400, frames_per_second=3.0, seconds_left=90.0))
        late = panels.status_panel(running("render", 399, 400, frames_per_second=30.0, seconds_left=0.1))
        assert early != late
        assert announced(early) == announced(late) == ["Rendering", ""]

    def test_failure_is_announced_with_its_remedy(self) -> None:
        html = panels.status_panel(job("failed", error="no face was found: choose another source"))
        assert announced(html) == ["Failed", "No face was found: choose another source"]

    def test_of_a_comparison_there_is_no_time_left(self) -> None:
        known = running("render", 1, 9, seconds_left=60.0, note="latentsync-1.5, 2 of 2: out of memory")
        compared = known.model_copy(update={"compare": ("preview", "latentsync-1.5")})
        assert "left" not in Page(panels.status_panel(compared)).text
        card = Page(panels.job_list([panels.JobEntry(compared)])).text
        assert "latentsync-1.5, 2 of 2" in card
        assert "left" not in card

    def test_the_whole_has_a_bar_and_a_time_left(self) -> None:
        page = Page(panels.status_panel(running("render", 30, 100, whole=0.345, whole_seconds_left=130.0)))
        assert "34% of all, about 2 min left" in page.text
        [_, whole] = page.having(role="progressbar")
        assert (whole["aria-valuenow"], whole["aria-label"]) == ("34", "All of it")
        compared = running("render", 30, 100, whole=0.5, whole_seconds_left=20_000.0, step=7, steps=20)
        said = Page(panels.status_panel(compared.model_copy(update={"compare": ("a", "b")}))).text
        assert "50% of all, about 5 h 30 min left" in said
        assert "step 7 of 20" in said

    def test_a_comparison_says_who_failed(self) -> None:
        done = job("done", started=1000.0, ended=1042.0, compare=("preview", "big"), failed=("big",))
        assert announced(panels.status_panel(done))[0] == "Done in 42 s, but big failed"
        assert "1 of 2 backends failed: big" in Page(panels.job_list([panels.JobEntry(done)])).text

    def test_ends(self) -> None:
        assert announced(panels.status_panel(job("done", started=1000.0, ended=1042.0)))[0] == "Done in 42 s"
        assert announced(panels.status_panel(job("cancelled")))[0] == "Stopped"

    def test_every_state_has_the_same_elements(self) -> None:
        def outline(html: str) -> list[tuple[str, str | None]]:
            inside = {"span"}  # figures come and go, inside one paragraph
            return [(tag, found.get("class")) for tag, found in Page(html).elements if tag not in inside]

        states = [None, job(), running("plan", 3, 9), job("done"), job("failed", error="x"), job("cancelled")]
        outlines = [outline(panels.status_panel(state)) for state in states]
        assert all(each == outlines[0] for each in outlines)


class TestReport:
    def test_who_painted_is_named_where_the_backend_is(self) -> None:
        whole = report(backend="latentsync-1.5", instead="musetalk-v15", warnings=["it is another's"])
        assert "latentsync-1.5 (by musetalk-v15), CPU" in Page(panels.report_panel(whole)).text
        fallback = Fallback(0, 11, "out of memory", "musetalk-v15")
        partly = Page(panels.report_panel(report(face_frames=250, **record_fallback(fallback, 11, ())))).text
        assert "in all of them; 11 of 250 frames by musetalk-v15." in partly

    def test_nothing_to_report(self) -> None:
        assert panels.report_panel(None) == ""

    def test_summary_and_figures(self) -> None:
        page = Page(panels.report_panel(report()))
        assert "250 frames (10 s of video) in 4 s: the mouth is painted in 200, the others are untouched." in page.text
        figures = [text for path, text in page.texts if path[-1] == "dd"]
        assert figures == ["250", "200", "50", "0", "2.5\u00d7", "62.5", "512 MiB", "Draft, CPU"]

    @pytest.mark.parametrize(("painted", "says"), [(250, "in all of them"), (0, "all are untouched")])
    def test_summary_of_all_and_of_none(self, painted: int, says: str) -> None:
        assert says in panels.report_panel(report(face_frames=painted))

    def test_notice_and_warnings_are_shown(self) -> None:
        page = Page(panels.report_panel(report(backend="big", warnings=["the voice is short"]), "Made by a network"))
        assert "Made by a network" in page.text
        assert next(text for path, text in page.texts if path[-1:] == ("li",)) == "The voice is short"

    def test_a_draft_is_called_one_and_leads_to_the_real_thing(self) -> None:
        page = Page(panels.report_panel(report(), "a notice"))
        assert "The mouth follows the loudness of the voice, which is no lip-sync." in page.text
        assert page.having(data_lead=".given .mt-picker", data_tab="Dub")
        assert not Page(panels.report_panel(report(backend="big"), "a notice")).having(data_tab="Dub")

    def test_fallbacks_name_who_painted(self) -> None:
        fallback = Fallback(10, 14, "out of memory", "musetalk-v15")
        said = fallback_sentences([fallback], "latentsync-1.5", 200, whole=False)
        page = Page(panels.report_panel(report(**record_fallback(fallback, 4, said))))
        lines = [text for path, text in page.texts if path[-1:] == ("li",) and "musetalk-v15" in text]
        assert lines == [
            "4 of 200 frames were painted by musetalk-v15, not by latentsync-1.5 (out of memory)",
            "Frames 10 to 13 were painted by musetalk-v15: out of memory",
        ]
        assert page.having(**{"class": "mt-swapped"}) == []

    def test_a_render_by_another_backend_says_so_first_and_once(self) -> None:
        fallback = Fallback(0, 200, "no weights", "musetalk-v15")
        said = fallback_sentences([fallback], "latentsync-1.5", 200, whole=True)
        page = Page(
            panels.report_panel(
                report(instead="musetalk-v15", **record_fallback(fallback, 200, (*said, "the voice is short")))
            )
        )
        texts = [text for path, text in page.texts if path[-1] in ("p", "li")]
        assert texts[0] == "This result is musetalk-v15's: latentsync-1.5 painted nothing of it (no weights)."
        assert len(page.having(**{"class": "mt-swapped"})) == 1
        assert page.text.count("painted nothing") == page.text.count("no weights") == 1
        assert "The voice is short" in texts

    def test_fallbacks_are_spelt_out_up_to_a_point(self) -> None:
        fallbacks = [{"start": index * 10, "stop": index * 10 + 4, "reason": "out of memory"} for index in range(7)]
        page = Page(panels.report_panel(report(fallbacks=fallbacks, fallback_frames=28)))
        assert page.text.count("out of memory") == 5
        assert "Frames 40 to 43 were painted by a fallback: out of memory" in page.text
        assert "2 more stretches by a fallback" in page.text
        assert page.having(data_tone="warn")

    def test_details_are_folded(self) -> None:
        page = Page(panels.report_panel(report()))
        folded = [found for tag, found in page.elements if tag == "details"]
        assert len(folded) == 3
        assert all("open" not in found for found in folded)
        assert "encoder.crf" in page.text

    def test_no_time_taken_is_no_division(self) -> None:
        assert "real time" not in panels.report_panel(report(wall_seconds=0.0, stages={}))


class TestTold:
    def test_nothing_is_told_of_nothing(self) -> None:
        assert told_line(None) == ""

    @pytest.mark.parametrize(
        ("state", "says", "figures"),
        [
            ("queued", "Waiting", "2 before it"),
            ("done", "Done", ""),
            ("failed", "Failed", ""),
            ("cancelled", "Stopped", ""),
        ],
    )
    def test_says_how_a_job_is(self, state: JobState, says: str, figures: str) -> None:
        page = Page(told_line(job(state), place=2))
        assert f"{says}: take.mp4 speaking voice.wav" in " ".join(page.text.split())
        assert figures in page.text
        assert [found["data-action"] for found in page.having(type="button")] == (
            ["show"] if state == "queued" else ["show", "silence_samples"]
        )

    def test_says_how_far_it_is_and_what_else_waits(self) -> None:
        text = Page(told_line(running("render", 30, 40), more=2)).text
        assert "rendering, 75%" in text
        assert "and 2 more" in text


class TestActions:
    @pytest.mark.parametrize(
        ("state", "offered"),
        [
            ("queued", []),
            ("running", []),
            ("done", ["edit"]),
            ("failed", ["retry", "edit"]),
            ("cancelled", ["retry", "edit"]),
        ],
    )
    def test_what_has_ended_can_be_rendered_again(self, state: JobState, offered: list[str]) -> None:
        page = Page(panels.status_panel(job(state)))
        [row] = page.having(**{"class": "mt-status-actions"})
        shown = [found["data-action"] for found in page.having(type="button") if "hidden" not in found]
        assert (shown if "hidden" not in row else []) == offered


class TestJobs:
    def test_empty_list_says_so(self) -> None:
        assert "No renders yet" in panels.job_list([])

    @pytest.mark.parametrize(
        ("state", "actions"),
        [
            ("queued", ["open", "edit", "rename", "stop"]),
            ("running", ["open", "edit", "rename", "stop"]),
            ("done", ["open", "edit", "rename", "delete"]),
            ("failed", ["open", "retry", "edit", "rename", "delete"]),
            ("cancelled", ["open", "retry", "edit", "rename", "delete"]),
        ],
    )
    def test_buttons_fit_the_state(self, state: JobState, actions: list[str]) -> None:
        page = Page(panels.job_list([panels.JobEntry(job(state))], now=1000.0))
        buttons = [found for tag, found in page.elements if tag == "button" and found.get("data-job") == job().id]
        assert [button["data-action"] for button in buttons] == actions
        assert {button["type"] for button in buttons} == {"button"}

    def test_what_lost_its_inputs_cannot_be_rendered_again(self) -> None:
        entry = panels.JobEntry(job("failed"), inputs_kept=False, problem="It is <gone>.")
        page = Page(panels.job_list([entry], now=1000.0, gone=["“Take 1” is no longer here."]))
        assert page.text.index("“Take 1” is no longer here.") < page.text.index("It is <gone>.")
        assert [found["class"] for found in page.having(role="alert")] == ["mt-problem", "mt-problem"]
        assert not {"edit", "retry"} & {found.get("data-action") for _, found in page.elements}

    @pytest.mark.parametrize(("states", "said"), [(["done", "failed", "running"], "(2)"), (["queued"], None)])
    def test_all_that_ended_can_be_deleted_at_once(self, states: list[JobState], said: str | None) -> None:
        page = Page(panels.job_list([panels.JobEntry(job(state)) for state in states], now=1000.0))
        [button] = page.having(data_action="delete-all")
        assert ("hidden" in button) == (said is None)
        assert said is None or f"Delete all that have ended {said}" in page.text

    @pytest.mark.parametrize(
        ("seconds", "says"), [(86400.0, "for 24 h"), (5400.0, "for 1.5 h"), (7 * 86400.0, "for 7 days")]
    )
    def test_how_long_renders_are_kept_is_said(self, seconds: float, says: str) -> None:
        keeping = panels.Keeping(seconds, 3 * 2**30)
        ended = job("done", started=1000.0, ended=1090.0)
        for entries in ([], [panels.JobEntry(ended)]):
            text = Page(panels.job_list(entries, keeping, now=1090.0 + seconds - 1800)).text
            assert says in text
            assert "3 GiB" in text
        assert "deleted in 30 min" in text
        assert "deleted in" not in Page(panels.job_list([panels.JobEntry(job("running"))], keeping, now=1e6)).text

    def test_card_says_state_age_length_and_duration(self) -> None:
        done = job("done", started=1000.0, ended=1090.0, length_seconds=75.4)
        text = Page(panels.job_list([panels.JobEntry(done)], now=1000.0 + 7300)).text
        assert "Done" in text
        assert "2 h ago" in text
        assert "1:15 long" in text
        assert "took 1 min 30 s" in text

    def test_card_says_what_is_not_as_usual(self) -> None:
        text = Page(panels.job_list([panels.JobEntry(job(), differing=[("Mask: shape", "Jaw")])], now=1000.0)).text
        assert "Mask: shape Jaw" in " ".join(text.split())

    def test_what_was_made_can_be_downloaded(self) -> None:
        page = Page(
            panels.job_list([panels.JobEntry(job("done"), file="/made.mp4"), panels.JobEntry(job())], now=1000.0)
        )
        [link] = [found for tag, found in page.elements if tag == "a"]
        assert link["href"] == "/made.mp4"
        assert "download" in link

    def test_running_card_has_a_bar_and_queued_its_place(self) -> None:
        entries = [panels.JobEntry(running("render", 30, 40), picture="/thumb"), panels.JobEntry(job(), place=2)]
        page = Page(panels.job_list(entries, now=1000.0))
        [bar] = page.having(role="progressbar")
        assert bar["aria-valuenow"] == "75"
        assert "Waiting, 2 before it" in page.text
        assert [found["src"] for tag, found in page.elements if tag == "img"] == ["/thumb"]

    def test_script_asks_twice_before_deleting(self) -> None:
        assert "send(action, job)" in panels.JOB_LIST_JS
        assert "data-armed" in panels.JOB_LIST_JS


@pytest.mark.parametrize(
    "html",
    [
        panels.status_panel(job("failed", title=HOSTILE, error=HOSTILE)),
        panels.status_panel(running("render", 1, 9, note=HOSTILE)),
        panels.report_panel(
            report(
                warnings=[HOSTILE],
                backend=HOSTILE,
                device=HOSTILE,
                stages={HOSTILE: 1.0},
                settings={HOSTILE: HOSTILE},
                versions={HOSTILE: HOSTILE},
                fallbacks=[{"start": 0, "stop": 2, "reason": HOSTILE}],
                enhancer=HOSTILE,
                restored_frames=1,
                unrestored=[{"start": 0, "stop": 2, "reason": HOSTILE}],
            ),
            HOSTILE,
        ),
        panels.job_list(
            [panels.JobEntry(job("failed", title=HOSTILE, error=HOSTILE), 0, HOSTILE, HOSTILE, [(HOSTILE, HOSTILE)])],
            now=1000.0,
        ),
        told_line(job("failed", title=HOSTILE)),
        panels.models_table([panels.ModelRow(HOSTILE, "ready", 1, HOSTILE, "https://x.org/" + HOSTILE, (HOSTILE,))]),
        panels.header(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        backend_cards([BackendEntry(HOSTILE, HOSTILE, (HOSTILE,))], HOSTILE),
    ],
    ids=["status", "note", "report", "jobs", "told", "models", "header", "backends"],
)
def test_names_from_people_stay_text(html: str) -> None:
    page = Page(html)
    assert "alert(1)" in page.text
    assert "script" not in {tag for tag, _ in page.elements}
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]


def test_why_a_backend_was_chosen_stands_with_the_job_until_its_report_tells_it() -> None:
    why = "chosen automatically: Draft, since <b> is not ready here"
    for state in ("queued", "running", "failed"):
        assert (
            "Chosen automatically: Draft, since <b> is not ready here"
            in Page(panels.status_panel(job(state, choice=why))).text
        )
    assert "hosen automatically" not in Page(panels.status_panel(job("done", choice=why))).text
    assert (
        "Chosen automatically: Draft, since <b> is not ready here."
        in Page(panels.report_panel(report(choice=why))).text
    )
    assert "hosen automatically" not in Page(panels.report_panel(report())).text
