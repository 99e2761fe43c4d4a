from __future__ import annotations

import copy
import inspect

import pytest

from musetalk import errors
from musetalk.cli.main import run
from musetalk.errors import BackendError, Cancelled, MuseTalkError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MuseTalkError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_can_be_taken_apart_and_made_again(kind: type[MuseTalkError]) -> None:
    """As on its way between processes; copying goes through the same `__reduce__`."""
    error = kind() if kind is Cancelled else kind("it is broken", "mend it")
    crossed = copy.deepcopy(error)
    assert type(crossed) is kind
    assert (crossed.problem, crossed.remedy, str(crossed)) == (error.problem, error.remedy, str(error))


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
