"""A day's load in an hour, with trouble: jobs by the app's API, some stopped, some bad, on a server that is killed.

python -m benchmarks.soak [--minutes 60] [--jobs 400] [--seed 1] [--workers local:0]

Fewer minutes have as many fewer jobs, unless --jobs says otherwise. In the first half the server is killed (SIGKILL) or
asked to end (SIGTERM) every few minutes, and started again over the same folder; the second half is one process, so
that its memory can be looked at.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradio_client import handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]

from benchmarks.common import ASSETS, ffmpeg, machine, make_voice, publish, table
from benchmarks.soak_server import Figures, Server
from musetalk.batch.places import HERE

JOBS_PER_MINUTE = 400 / 60
DISK_GIGABYTES, PADDING = 0.35, 4 * 2**20  # so that the bound is met within 40 jobs, and none is too large for it
MEMORY_MEGABYTES = 50.0
SCRAPE_SECONDS, POLL_SECONDS, END_SECONDS = 2.0, 0.3, 900.0
ENDED = ("done", "failed", "cancelled")
BAD, NO_FACE, STOPPED = 0.10, 0.05, 0.20  # shares of the jobs
MIB = 2**20


@dataclass(slots=True)
class Entry:
    """One job that was asked for.

    Attributes:
        wish: "good", "stop", "no face" or "bad".
        ticket: Its id and key; None: it was refused, or the answer was lost with the server.
        life: Of the server that took it.
        state: As it was last seen.
        kind: Of its error, or of the refusal.
    """

    wish: str
    ticket: tuple[str, str] | None = None
    life: int = 0
    state: str = "asked"
    kind: str = ""


@dataclass(slots=True)
class Account:
    """What was seen."""

    entries: list[Entry] = field(default_factory=list)
    figures: list[Figures] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    answers_lost: int = 0
    met: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Errors of whoever asked how jobs are, by the server's life and the error's kind."""


class Inputs:
    """Files for jobs, no two videos alike."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder, self._chance, self._number = folder, chance, 0
        self._voices = [make_voice(folder / f"voice{n}.wav", seconds=s) for n, s in enumerate((0.5, 1.0, 2.0, 4.0))]
        self._long = make_voice(folder / "long.wav", seconds=20)
        grey = folder / "grey.mp4"
        ffmpeg("-f", "lavfi", "-i", "color=gray:size=128x128:rate=25", "-t", "1", "-pix_fmt", "yuv420p", str(grey))
        self._sources = {"no face": grey.read_bytes(), "good": (ASSETS / "sample.mp4").read_bytes()}
        self._sources["stop"] = self._sources["good"]
        empty, text = folder / "empty.wav", folder / "text.wav"
        empty.write_bytes(b"")
        text.write_bytes(b"no voice at all\n" * 100)
        self._bad_voices = [empty, text]

    def make(self, wish: str) -> tuple[Path, Path]:
        """Return a source and a voice."""
        self._number += 1
        voice = self._long if wish == "stop" else self._chance.choice(self._voices)
        video = self._folder / f"clip{self._number % 8}.mp4"
        if wish == "bad":
            whole, choice = self._sources["good"], self._chance.randrange(3)
            video.write_bytes((b"no video at all\n" * 1000, whole[:1000], whole)[choice])
            return video, self._chance.choice(self._bad_voices) if choice == 2 else voice
        # An MP4 box that players skip (ISO/IEC 14496-12, "free"): size, type, then anything.
        size = (8 + PADDING).to_bytes(4, "big")
        own = self._number.to_bytes(8, "big")
        video.write_bytes(self._sources[wish] + size + b"free" + bytes(PADDING - 8) + own)
        return video, voice


class Watcher:
    """Asks how jobs are, and for figures, from a thread of its own, whatever becomes of the server."""

    def __init__(self, server: Server, account: Account) -> None:
        self._server, self._account = server, account
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        scraped = 0.0
        while not self._over.wait(POLL_SECONDS):
            try:
                if time.monotonic() - scraped >= SCRAPE_SECONDS:
                    scraped = time.monotonic()
                    self._check(self._server.scrape())
                for entry in list(self._account.entries):
                    if entry.ticket is not None and entry.state not in (*ENDED, "lost"):
                        self._ask(entry, entry.ticket)
            except Exception as error:  # noqa: BLE001 - whatever a client makes of a server that is killed
                self._account.met[self._server.lives, type(error).__name__] += 1

    def _ask(self, entry: Entry, ticket: tuple[str, str]) -> None:
        try:
            told = self._server.client().predict(*ticket, api_name="/status")[0]
        except AppError as error:
            if getattr(error, "title", "") == "no_job":
                entry.state = "lost"
            return
        entry.state, entry.kind = told["state"], told["error_kind"]

    def _check(self, now: Figures) -> None:
        account = self._account
        before = account.figures[-1] if account.figures else None
        account.figures.append(now)
        accepted, ended = now.all("musetalk_jobs_accepted_total"), now.all("musetalk_jobs_ended_total")
        active = now.all("musetalk_jobs")
        if sum(accepted.values()) != sum(ended.values()) + sum(active.values()):
            account.wrong.append(f"figures do not add up: {accepted}, {ended}, {active}")
        if before is not None and before.process == now.process:
            down = [key for key, value in before.values.items() if _counts(key[0]) and now.values.get(key, 0) < value]
            account.wrong += [f"{name} went down" for name, _ in down]
        used = now.one("musetalk_jobs_disk_bytes")
        if used > now.one("musetalk_jobs_disk_limit_bytes"):
            account.wrong.append(f"jobs took {used / MIB:.0f} MiB")


def _counts(name: str) -> bool:
    return name.endswith(("_total", "_count", "_bucket"))


def ask(server: Server, inputs: Inputs, entry: Entry, account: Account) -> None:
    """Ask for a job, again where the answer was lost with the server."""
    video, voice = inputs.make(entry.wish)
    until = time.monotonic() + END_SECONDS
    while time.monotonic() < until:
        entry.life = server.lives
        try:
            settings = {"backend": "preview"}
            told = server.client().predict(handle_file(video), handle_file(voice), settings, None, api_name="/submit")
        except AppError as error:
            entry.state, entry.kind = "refused", getattr(error, "title", "") or "?"
            return
        except Exception:  # noqa: BLE001 - whatever a client makes of a server that is killed
            account.answers_lost += 1
            time.sleep(1.0)
            continue
        entry.ticket, entry.state = (told["job"], told["key"]), "queued"
        return
    account.wrong.append("a job could not be asked for")


def stop_one(server: Server, account: Account) -> None:
    """Stop the oldest job that is there to be stopped and runs."""
    for entry in account.entries:
        if entry.wish == "stop" and entry.state == "running" and entry.ticket is not None:
            with suppress(Exception):  # the server may be killed just now
                server.client().predict(*entry.ticket, api_name="/stop")
            return


def load(server: Server, inputs: Inputs, account: Account, minutes: float, jobs: int, chance: random.Random) -> None:
    """Ask for jobs, stop some, and end the server now and then, for so many minutes."""
    begun, seconds = time.monotonic(), 60 * minutes
    wishes = ["bad"] * round(BAD * jobs) + ["no face"] * round(NO_FACE * jobs) + ["stop"] * round(STOPPED * jobs)
    wishes += ["good"] * (jobs - len(wishes))
    chance.shuffle(wishes)
    ends = max(2, round(minutes / 5))
    # The last end comes at half of the time at the latest.
    events = [(seconds * number / jobs, wish) for number, wish in enumerate(wishes)]
    events += [(seconds * (0.1 + 0.4 * (n + chance.random()) / ends), "kill" if n % 3 else "term") for n in range(ends)]
    for at, what in sorted(events):
        while (wait := begun + at - time.monotonic()) > 0:
            time.sleep(min(wait, 1.0))
            stop_one(server, account)
        if what == "term":
            account.kills["SIGTERM"] += 1
            if server.end() != 0:
                account.wrong.append("the server did not end in order")
            server.start()
        elif what == "kill":
            account.kills["SIGKILL"] += 1
            server.kill()
            server.start()
        else:
            account.entries.append(entry := Entry(what))
            ask(server, inputs, entry, account)


def wait_for_all(server: Server, account: Account) -> None:
    """Wait until nothing is to be done any more."""
    until = time.monotonic() + END_SECONDS
    while time.monotonic() < until:
        stop_one(server, account)
        if all(entry.ticket is None or entry.state in (*ENDED, "lost") for entry in account.entries):
            return
        time.sleep(0.5)


def judge(server: Server, account: Account) -> list[str]:
    """Return what is wrong, beside what was found on the way."""
    wrong, logs = list(account.wrong), server.logs()
    ends = [_ends(log) for log in logs]
    told = {job: state for each in ends for job, state in each}
    for entry in account.entries:
        job = "" if entry.ticket is None else entry.ticket[0]
        if entry.state == "lost" and job in told:
            entry.state = "removed"  # it ended, and made room before anybody looked
        elif entry.state in ENDED and entry.kind != "interrupted" and told.get(job) != entry.state:
            wrong.append(f"a job is {entry.state}, and {told.get(job)} by the log")
    wrong += [f"a {entry.wish} job is {entry.state} {entry.kind}" for entry in account.entries if not _as_wished(entry)]
    last = [entry for entry in account.entries if entry.ticket is not None and entry.life == server.lives]
    figures = account.figures[-1]
    if figures.all("musetalk_jobs_accepted_total")["submitted"] != len(last):
        wrong.append("the last process has counted other jobs than it was given")
    counted, logged = figures.all("musetalk_jobs_ended_total"), Counter(state for _, state in ends[-1])
    given_up = sum(entry.kind == "interrupted" for entry in account.entries)  # as the folder was opened: never logged
    if not 0 <= sum(counted.values()) - logged.total() <= given_up:
        wrong.append(f"the last process has counted {counted}, and {dict(logged)} is in its log")
    wrong += [
        f"{count} times {kind} from a server that ran"
        for (life, kind), count in account.met.items()
        if life == server.lives
    ]
    early, late = memory(account)
    if late - early > MEMORY_MEGABYTES:
        wrong.append(f"memory grew from {early:.0f} to {late:.0f} MiB")
    return wrong


def _ends(log: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return which jobs ended how, by the log of a process."""
    service = (line for line in log if line["logger"] == "musetalk.jobs.service")
    return [(line["job"], line["state"]) for line in service if line.get("state") in ENDED]


def _as_wished(entry: Entry) -> bool:
    """Return whether a job ended as it may: who is killed while it renders may be told that it was interrupted."""
    if entry.kind == "interrupted" or entry.state == "removed":
        return True
    may = {"good": ("done",), "stop": ("cancelled", "done"), "no face": ("failed",), "bad": ("refused",)}
    return entry.state in may[entry.wish]


def memory(account: Account) -> tuple[float, float]:
    """Return the median memory of the last process in the second and in the last quarter of its life, in MiB."""
    last = account.figures[-1].process
    rss = [each.one("process_resident_memory_bytes") / MIB for each in account.figures if each.process == last]
    quarter = max(1, len(rss) // 4)
    return statistics.median(rss[quarter : 2 * quarter] or rss), statistics.median(rss[-quarter:])


def report(server: Server, account: Account, minutes: float, workers: str, wrong: Sequence[str]) -> str:
    """Return the page."""
    ends = Counter(
        (entry.wish, entry.state if entry.state != "refused" else f"refused ({entry.kind})")
        for entry in account.entries
    )
    rows = [[wish, state, count] for (wish, state), count in sorted(ends.items())]
    early, late = memory(account)
    disk = max(each.one("musetalk_jobs_disk_bytes") for each in account.figures) / MIB
    peak = account.figures[-1].one("musetalk_memory_peak_bytes") / MIB
    interrupted = sum(entry.kind == "interrupted" for entry in account.entries)
    kills = ", ".join(f"{count} by {name}" for name, count in account.kills.items())
    met = Counter[str]()
    for (_, kind), count in account.met.items():
        met[kind] += count
    asked = ", ".join(f"{count} {kind}" for kind, count in sorted(met.items())) or "none"
    said = "\n".join(f"- {each}" for each in wrong) if wrong else "All of it holds."
    return (
        f"# Soak\n\n`python -m benchmarks.soak`: jobs through the API of the app (`--workers {workers}`), `preview`\n"
        "backend, uploads of some 4.5 MiB, with random stops, bad inputs, and ends of the server in the first half.\n"
        f"Nothing may be lost, figures have to add up at every scrape (every {SCRAPE_SECONDS:g} s), counters never go\n"
        f"down, disk stays within its bound, memory grows by {MEMORY_MEGABYTES:g} MiB at most.\n{machine()}.\n\n"
        f"{minutes:g} minutes, {len(account.entries)} jobs, {server.lives} processes of the server ({kills}), "
        f"{account.answers_lost} requests asked again,\n"
        f"{server.failed_starts} starts that failed and were made again, {interrupted} jobs interrupted by a kill, "
        f"{len(account.figures)} scrapes. Errors of whoever asked meanwhile, by kind: "
        f"{asked}.\n\n{table(['wanted', 'came to', 'jobs'], rows)}\n"
        f"Memory of the last process: {early:.0f} MiB in the second quarter of its life, {late:.0f} MiB in the last, "
        f"{peak:.0f} at most.\nDisk of the jobs: {disk:.1f} MiB at most, of {DISK_GIGABYTES * 1024:.1f}.\n\n{said}\n"
    )


def main() -> None:
    """Load, look, and end with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, help="default: 400 an hour")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", default=HERE, help="where the app lets jobs be rendered")
    given = parser.parse_args()
    jobs = given.jobs or round(JOBS_PER_MINUTE * given.minutes)
    chance, account = random.Random(given.seed), Account()  # noqa: S311 - to try, not to hide
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "inputs").mkdir()
        inputs = Inputs(folder / "inputs", chance)
        bounds = ("--max-disk-gigabytes", str(DISK_GIGABYTES), "--drain-seconds", "5", "--live-sessions", "0")
        server = Server(folder / "server", (*bounds, "--workers", given.workers))
        server.start()
        watcher = Watcher(server, account)
        try:
            load(server, inputs, account, given.minutes, jobs, chance)
            wait_for_all(server, account)
            time.sleep(2 * SCRAPE_SECONDS)
        finally:
            watcher.close()
            status = server.end()
        wrong = judge(server, account)
        wrong += [f"left behind: {each}" for each in server.left()]
        wrong += [f"the server ended with {status}"] if status else []
        page = "soak.md" if given.workers == HERE else "soak_workers.md"
        publish(page, report(server, account, given.minutes, given.workers, wrong))
    raise SystemExit(int(bool(wrong)))


if __name__ == "__main__":
    main()
