"""What becomes of temporary folders whose process was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from musetalk.utils.files import temporary_folder, whole_file
from musetalk.utils.temporary_folders import PREFIX, sweep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")

HOLDER = """
import sys
import tempfile
from pathlib import Path
from musetalk.utils.files import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "work").mkdir()
    (folder / "work/pictures.raw").write_bytes(b"pictures")
    print(folder.name, flush=True)
    sys.stdin.read()
"""
WRITER = """
import os
import sys
from pathlib import Path
from musetalk.utils.files import whole_file
with whole_file(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    os._exit(9)
"""


def holder(parent: Path, stack: ExitStack) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds a temporary folder for as long as the test lasts, and that folder."""
    command = [sys.executable, "-c", HOLDER, str(parent)]
    process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    assert process.stdout is not None
    folder = parent / process.stdout.readline().strip()
    assert (folder / "work/pictures.raw").is_file()
    return process, folder


def test_what_a_killed_process_left_goes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        _, living = holder(tmp_path, stack)
        killed, dead = holder(tmp_path, stack)
        killed.kill()
        killed.wait()
        elsewhere, long_ago = (tmp_path / f"{PREFIX}{machine}-abc" for machine in ("0" * 8, "1" * 8))
        link, other = tmp_path / f"{dead.name}x", tmp_path / f"{PREFIX}abc"
        for folder in (elsewhere, long_ago, other):
            folder.mkdir()
        os.utime(long_ago, (0, 0))
        link.symlink_to(other)
        with monkeypatch.context() as patched:
            patched.setattr(os, "geteuid", lambda: os.getuid() + 1)  # somebody else sweeps
            sweep(tmp_path)
        assert dead.exists()
        with temporary_folder(tmp_path) as own:
            assert set(tmp_path.iterdir()) == {living, elsewhere, link, other, own}
            assert (living / "work/pictures.raw").is_file()
            sweep(tmp_path)
            assert own.exists()
        assert not own.exists()


def test_half_a_file_that_a_killed_process_left_goes_when_the_next_one_is_written(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "out.txt")], check=False)
    [left] = tmp_path.iterdir()
    assert left.name.startswith(PREFIX) and [path.read_bytes() for path in left.iterdir()] == [b"half"]
    with whole_file(tmp_path / "other.txt") as partial:
        partial.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_a_folder_that_is_swept_before_it_is_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, list[str]()

    def swept_at_once(*args: str, **kwargs: str) -> str:
        made.append(make(*args, **kwargs))
        if len(made) == 1:
            sweep(tmp_path)  # as another process may
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept_at_once)
    with temporary_folder(tmp_path) as folder:
        assert folder.is_dir() and folder == Path(made[1])
    assert list(tmp_path.iterdir()) == []
