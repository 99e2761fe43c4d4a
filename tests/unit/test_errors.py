from __future__ import annotations

import copy
import errno
import inspect
import re
from pathlib import Path

import pytest

from musetalk import errors
from musetalk.cli.main import run
from musetalk.errors import (
    PATH,
    BackendError,
    Cancelled,
    CheckpointError,
    DiskSpaceError,
    MuseTalkError,
    OutputError,
    write_error,
)

ROOT = Path(__file__).parents[2]
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MuseTalkError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_can_be_taken_apart_and_made_again(kind: type[MuseTalkError]) -> None:
    """As on its way between processes; copying goes through the same `__reduce__`."""
    error = kind() if kind is Cancelled else kind("it is broken", "mend it")
    crossed = copy.deepcopy(error)
    assert type(crossed) is kind
    assert (crossed.problem, crossed.remedy, str(crossed)) == (error.problem, error.remedy, str(error))


def test_every_error_has_a_kind_of_its_own_that_the_readme_tells_programs() -> None:
    words = [kind.kind for kind in KINDS if kind is not MuseTalkError]
    assert len(set(words)) == len(words)
    assert set(words) <= set(re.findall(r"`(\w+)`", (ROOT / "README.md").read_text(encoding="utf-8")))


def test_an_error_tells_of_a_file_by_another_name_and_stays_what_it_is() -> None:
    error = CheckpointError(f"{PATH} is damaged", path=Path("/srv/models/unet.pth"))
    assert error.problem == "/srv/models/unet.pth is damaged"
    other = error.called("unet.pth", "choose another")
    assert (type(other), other.path, other.get_again) == (CheckpointError, error.path, True)
    assert str(other) == "unet.pth is damaged: choose another"
    assert str(error.retold("nothing paints")) == f"nothing paints: {error.remedy}"


def test_a_failed_write_is_told_from_a_full_disk() -> None:
    assert write_error(OSError(errno.ENOSPC, "No space left on device")) is DiskSpaceError
    assert write_error(OSError(errno.EACCES, "Permission denied")) is OutputError


def test_an_error_says_what_to_do_where_it_knows() -> None:
    assert str(BackendError("it is broken", "mend it")) == "it is broken: mend it"
    assert str(BackendError("it is broken")) == "it is broken"


def test_want_of_memory_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    def hungry() -> None:
        raise MemoryError

    with pytest.raises(SystemExit) as end:
        run(hungry)
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("musetalk: there is not enough memory")
