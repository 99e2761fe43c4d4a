from __future__ import annotations

import atexit
import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.media import numbered_frames, tone, write_video, write_wav
from tests.helpers.programs import PASSED

pytest_plugins = ("tests.fixtures",)
ROOT = Path(__file__).parents[1]

# Two workers share the cores, and so do the programs that tests start: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slow machine is no failure, and a failure on one machine is one on all.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much is tried where there is no end of cases."""
    parser.addoption("--fuzz-examples", type=int, default=80, help="damaged files that are rendered (default: 80)")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let the temporary folder lie in pytest's own, for libraries and for programs, which leave things there.

    Before modules are imported: some look where it is when they are. Its name is short, for sockets in it have some
    100 letters.
    """
    folder = str(session.config._tmp_path_factory.mktemp("t"))  # type: ignore[attr-defined]
    patch = pytest.MonkeyPatch()
    session.config.add_cleanup(patch.undo)
    patch.setenv("TMPDIR", folder)
    patch.setattr(tempfile, "tempdir", folder)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let nobody look for garbage among what is imported here: it stays, and is some 900 000 objects.

    Nor does pytest when it ends, which took each worker a second. The end of the process takes it apart, in order:
    compiled modules complain of what is left.
    """
    gc.disable()
    atexit.register(gc.unfreeze)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know, when they clean up, whether their test passed."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file, or of what a file says, with one worker, so that what they share is made once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(ROOT))))
        # Now and then a press on Gradio's page is lost, for reasons that were not found. It is told of in full, below.
        if item.path.is_relative_to(ROOT / "tests" / "browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once what was not tested for want of a browser, and how each test failed that was tried again."""
    for each in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"TRIED AGAIN: {each.nodeid}")
        terminalreporter.write_line(each.longreprtext)
        for title, said in each.sections:
            terminalreporter.write_line(f"{title}:\n{said}")
    skipped = [each for each in terminalreporter.stats.get("skipped", []) if each.nodeid.startswith("tests/browser/")]
    if skipped:
        terminalreporter.write_line(f"NOT TESTED: {len(skipped)} browser tests, {skipped[0].longrepr[2]}")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For small networks: they are slower on several threads, and much slower so beside other tests."""
    import torch  # noqa: PLC0415 - slow to import

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 numbered frames at 29.97 fps with B-frames and a keyframe every 12, no sound."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, numbered_frames(50), Fraction(30000, 1001), "-preset", "medium", "-g", "12")


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a buzz."""
    return write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", tone(2.0))
