"""The phonemes of a voice with their times, and the file that holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from musetalk.errors import SettingsError
from musetalk.settings import problems_in, said_of
from musetalk.utils.files import read_at_most, whole_file

PHONEMES = "speech.phonemes"  # the setting that names the file
_FORMAT, _VERSION = "musetalk-phonemes", 1
_LARGEST = 64 * 2**20  # bytes: more than four hours of hurried speech
_SLACK = 0.1  # seconds by which a voice may have become shorter when it was encoded
_ROUNDING = 0.001  # seconds
_MOST_TOLD = 3  # problems
_REMEDY = "correct the file, or write it anew with the voice"
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class TimedPhoneme:
    """A sound of a language, and when it is spoken.

    Attributes:
        ipa: In the International Phonetic Alphabet, without stress and length: "b", "eɪ", "tʃ".
        start: Seconds from the beginning of the sound.
        stop: Where it ends.
    """

    ipa: str
    start: float
    stop: float

    def later(self, seconds: float) -> TimedPhoneme:
        """Return it so many seconds later."""
        return replace(self, start=self.start + seconds, stop=self.stop + seconds)


class _Phoneme(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ipa: Annotated[str, Field(min_length=1, max_length=16)]
    start: _Seconds
    stop: _Seconds


class _PhonemeFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal["musetalk-phonemes"]
    version: Literal[1]
    phonemes: list[_Phoneme]


def write_phonemes(path: Path, phonemes: Sequence[TimedPhoneme]) -> None:
    """Write the phonemes of a voice, as `--phonemes` takes them; the file appears whole or not at all.

    Args:
        path: The file to make.
        phonemes: In order; those that take no time are left out.

    Raises:
        OutputError: It cannot be written.
    """
    rows = ",\n".join(
        json.dumps(asdict(phoneme), ensure_ascii=False) for phoneme in phonemes if phoneme.stop > phoneme.start
    )
    with whole_file(path) as made:
        made.write_text(f'{{"format": "{_FORMAT}", "version": {_VERSION}, "phonemes": [\n{rows}\n]}}\n', "utf-8")


def read_phonemes(path: Path, seconds: float) -> tuple[TimedPhoneme, ...]:
    """Read the phonemes of a voice.

    Args:
        path: A file that `write_phonemes` wrote, or one like it.
        seconds: How long the voice is.

    Returns:
        In order; none begins before the one before it ends, none ends after the voice. There may be none.

    Raises:
        SettingsError: The file cannot be read, is none of these, or says what cannot be; the text says what.
    """
    try:
        content = read_at_most(path, _LARGEST)
        if content is None:
            raise _refused("{path} is too large for phonemes", path)
        told = _PhonemeFile.model_validate_json(content)
    except OSError as error:
        raise _refused(f"{{path}} cannot be read ({error.strerror})", path, "check the name of the file") from error
    except ValidationError as error:
        problems = problems_in(error)
        more = f"; and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        raise _refused(f"{{path}} holds no phonemes ({said_of(problems[:_MOST_TOLD])}{more})", path) from error
    phonemes = [TimedPhoneme(each.ipa, each.start, each.stop) for each in told.phonemes]
    _check(phonemes, seconds, path)
    return tuple(phonemes)


def _check(phonemes: Sequence[TimedPhoneme], seconds: float, path: Path) -> None:
    """Make sure that phonemes can be those of a voice.

    Raises:
        SettingsError: They cannot.
    """
    for number, phoneme in enumerate(phonemes, 1):
        if phoneme.stop <= phoneme.start:
            raise _refused(f"in {{path}} phoneme {number} ({_said(phoneme)}) ends where it begins, or before", path)
    for number, (before, after) in enumerate(pairwise(phonemes), 2):
        if after.start < before.stop - _ROUNDING:
            raise _refused(
                f"in {{path}} phoneme {number} ({_said(after)}) begins before the last one ends, at {before.stop:g} s",
                path,
            )
    if phonemes and phonemes[-1].stop > seconds + _SLACK:
        raise _refused(
            f"{{path}} is of another voice: phoneme {len(phonemes)} ({_said(phonemes[-1])}) ends after {seconds:.2f} s",
            path,
            "name the file that was written with the voice",
        )


def _said(phoneme: TimedPhoneme) -> str:
    return f'"{phoneme.ipa}", {phoneme.start:g} to {phoneme.stop:g} s'


def _refused(problem: str, path: Path, remedy: str = _REMEDY) -> SettingsError:
    return SettingsError(problem, remedy, path=path, names=(PHONEMES,))
