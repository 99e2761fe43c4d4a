"""Where renders are made, and how they get their names: whole, and only from a driver that holds the ledger."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from musetalk.batch.works import Work
from musetalk.settings import RenderSettings
from musetalk.utils.files import make_room_for, whole_file

_KEY_DIGITS = 24
FOLDER_ENDING = ".making"  # behind the name of a ledger or of a manifest


@dataclass(frozen=True, slots=True)
class Staging:
    """The folder in which renders are made before they get their names: one below it for each, told by its content.

    So whoever makes one again finds what is there of it, and two who make the same write the same.

    Attributes:
        folder: Beside the ledger; None: there is none, and renders are made at their own places.
    """

    folder: Path | None

    def place(self, work: Work) -> Path:
        """Return where a render's file is made. Its folder is made, too.

        Raises:
            OutputError: It cannot be.
        """
        output = work.first.output
        place = output if self.folder is None else self._folder_of(work, self.folder) / output.name
        make_room_for(place)
        return place

    def settings(self, work: Work) -> RenderSettings:
        """Return the settings with which a render made there is as if it were made at its own place."""
        coords = work.settings.coords_in(work.first.output.parent)
        return work.settings if coords is None else work.settings.model_copy(update={"coords_dir": coords})

    def clear(self, work: Work) -> None:
        """Remove what was made of a render, and the folder itself with the last one."""
        if self.folder is not None:
            shutil.rmtree(self._folder_of(work, self.folder), ignore_errors=True)
            with suppress(OSError):
                self.folder.rmdir()

    def remove(self) -> None:
        """Remove what is left of renders that nobody asks for any more."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _folder_of(work: Work, folder: Path) -> Path:
        return folder / work.key[:_KEY_DIGITS]


def publish(made: Path, output: Path, *, move: bool = False) -> None:
    """Give what is whole another name, whole or not at all.

    Names are copies, not links to one file: whoever changes one of them means that one.

    Args:
        made: The file.
        output: Its name; what is there is replaced.
        move: Whether it is needed under the old name no more.

    Raises:
        OutputError: It cannot be.
    """
    if made == output:
        return
    make_room_for(output)
    if move:
        with suppress(OSError):  # another file system
            made.replace(output)
            return
    with whole_file(output) as partial:
        shutil.copyfile(made, partial)
