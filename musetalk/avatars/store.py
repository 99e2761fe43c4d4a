"""`AvatarStore`: the avatars of a folder, by name and by id."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from musetalk.avatars.manifest import MANIFEST, Manifest, check_name, read_manifest
from musetalk.errors import PATH, AvatarError, write_error
from musetalk.utils.files import data_folder, temporary_folder

VARIABLE = "MUSETALK_AVATARS"
_ID = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """An avatar as a list shows it; its files were not looked at.

    Attributes:
        folder: Where it lies.
        manifest: What it is; None: it cannot be used.
        problem: Why it cannot.
    """

    folder: Path
    manifest: Manifest | None
    problem: str = ""


class AvatarStore:
    """Avatars, each in a folder of its name.

    Args:
        folder: Of them all; None: that of `MUSETALK_AVATARS`, else the user's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(os.environ.get(VARIABLE) or data_folder() / "avatars")

    def place(self, name: str) -> Path:
        """Return where an avatar of that name lies, or would.

        Raises:
            AvatarError: No avatar can be called that.
        """
        return self.folder / check_name(name)

    def entries(self) -> list[Entry]:
        """Return all avatars, by name."""
        if not self.folder.is_dir():
            return []
        folders = sorted(
            path.parent for path in self.folder.glob(f"*/{MANIFEST}") if not path.parent.name.startswith(".")
        )
        return [_entry(folder) for folder in folders]

    def find(self, wanted: str) -> Path:
        """Return the folder of an avatar.

        Args:
            wanted: Its name, its id or the first six digits of it or more, or the path of its folder, wherever that is.

        Raises:
            AvatarError: There is none, or several begin so.
        """
        if os.sep not in wanted and _is_avatar(self.folder / wanted):
            return self.place(wanted)
        if _ID.fullmatch(wanted):
            known = [
                each for each in self.entries() if each.manifest is not None and each.manifest.id.startswith(wanted)
            ]
            if len({each.manifest.id for each in known if each.manifest is not None}) > 1:
                names = ", ".join(each.folder.name for each in known)
                raise AvatarError(f"the ids of several avatars begin with {wanted} ({names})", "give more of it")
            if known:
                return known[0].folder
        if _is_avatar(Path(wanted)):
            return Path(wanted)
        raise self._missing(wanted)

    def named(self, name: str) -> Path:
        """Return the folder of an avatar of this store, by its name alone.

        Raises:
            AvatarError: There is none of that name, or none can be called that.
        """
        folder = self.place(name)
        if not (folder / MANIFEST).is_file():
            raise self._missing(name)
        return folder

    def delete(self, wanted: str) -> Path:
        """Delete an avatar of this store; returns where it was.

        Args:
            wanted: Its name or id, as for `find`.

        Raises:
            AvatarError: There is none here.
            OutputError: It cannot be deleted.
        """
        folder = self.find(wanted)
        if folder.resolve().parent != self.folder.resolve():
            problem = f'"{PATH}" does not lie among the avatars of "{self.folder}"'
            raise AvatarError(problem, "delete that folder yourself", path=folder)
        with temporary_folder(self.folder) as doomed:  # which goes later where it cannot go now
            try:
                folder.rename(doomed / "deleted")  # at once: what is half gone is no avatar
            except OSError as error:
                raise write_error(error)(f'"{PATH}" cannot be deleted ({error.strerror})', path=folder) from error
        return folder

    def _missing(self, wanted: str) -> AvatarError:
        there = ", ".join(each.folder.name for each in self.entries())
        return AvatarError(
            f'there is no avatar "{wanted[:200]}" in "{PATH}"',
            f"there are: {there}" if there else "create one: musetalk avatar create SOURCE --name NAME",
            path=self.folder,
        )


def _is_avatar(folder: Path) -> bool:
    """Whether an avatar lies there, usable or not; nothing lies in what can be no folder."""
    return os.path.lexists(folder / MANIFEST)


def _entry(folder: Path) -> Entry:
    try:
        return Entry(folder, read_manifest(folder))
    except AvatarError as error:
        return Entry(folder, None, error.problem)
