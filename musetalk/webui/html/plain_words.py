"""What the engine says, in words for whoever reads it on the page: no commands, no folders, no names of settings.

Errors and warnings are written for the command line and for programs, and kept with jobs. What to do about them is
something else on a page: visitors change their inputs, weights come from the Models tab, and what only the server's
owner can do is said of them, or to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NAME = r"[\w.-]+"
_FOLDER = r'(?: --models-dir (?:"[^"]*"|\S+))?'
_DOWNLOAD = re.compile(
    r"(?:delete it and )?(?:put the files of [\w./-]+ there: |download it(?: again)?: )?"
    rf"python -m musetalk weights download(?: (?P<set>(?!--){_NAME}))?{_FOLDER}(?P<replace> --replace)?{_FOLDER}"
)
# What is left out: it stands beside something else that can be done, or is of no use on a page.
_LEFT_OUT = re.compile(
    rf"; or, if it is a checkpoint of your own: python -m musetalk weights adopt \S+{_FOLDER}"
    r"|,? ?(?:or )?name another(?: folder)? with --models-dir"
    r"| with python -m musetalk weights download [\w.-]+(?=, or start it with --downloads)"
    r"|,? ?name a mirror with HF_ENDPOINT|(?:unset|look at) HF_ENDPOINT(?:, )?(?:or )?|unset it, or "
    r"|set that variable to an address like \S+"
    r"| \(hf auth login[^)]*\)"
    r"| \(what goes where: python -m musetalk weights list\) and run: python -m musetalk weights verify"
    r"| \(--[\w-]+\)"
)
_OWNERS = re.compile(
    r"python -m musetalk [^;,)]*|pip install [^;,)]*"
    r"|(?:(?<=[:;] )|^)[^:;]*put the files there by hand|use a disk that takes files that large|look at the disk"
    r"|install one that has these letters, such as Noto"
    r"|make (?:it readable|it writable|the folder writable|room)(?:, or the folder writable)?"
    r"|free some space(?: on the disk)?(?:, or write elsewhere)?|write (?:it )?elsewhere|verify the weights"
)
_LIMIT = re.compile(r"(?P<or>,? ?or )?raise limits\.(?P<name>max_\w+)")
_OPTIONS = {
    "max_seconds": "--max-seconds",
    "max_pixels": "--max-pixels",
    "max_bytes": "--max-megabytes",
}
_QUOTED_PATH = re.compile(r'"(?:[A-Za-z]:)?[/\\][^"]*?([^"/\\]*)[/\\]?"')
_PATH = re.compile(r"""(?<![\w.:/"])(?:/[^\s"':;,()/]+)+/(?P<name>[^\s"':;,()/]*)""")
_UNUSABLE = re.compile(r"unusable settings \((?P<each>.*)\)")
_CHOICE = re.compile(r"\.literal\[[^\]]*\]")  # of those that a setting offers
_SETTING = re.compile(r'the setting "(?P<name>[\w.]+)"')


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads.

    Attributes:
        owner: Whether it is whoever runs the server.
        downloads: Whether they may download weights.
        labels: By dotted names of settings, what the page calls them.
    """

    owner: bool = False
    downloads: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


VISITOR = Reader()  # somebody who can change inputs and settings, and nothing of the server


def plain(text: str, reader: Reader) -> str:
    """Return a problem, a remedy or both, in words for `reader`; may be empty, where nothing can be done on a page."""
    text = _LEFT_OUT.sub("", text).replace("HF_HUB_OFFLINE forbids", "this server is set up to forbid")
    text = text.replace(": it is looked for beside the script", ", or add the picture under Slides")
    text = text.replace("HF_ENDPOINT is no", "the mirror that this server is set up to use is no")
    text = re.sub(r"start it with --downloads \([^)]*\)", "allow downloads", text)
    text = _DOWNLOAD.sub(lambda found: _download(found, reader), text)
    text = _LIMIT.sub(lambda found: _raise_limit(found, reader), text)
    text = _OWNERS.sub(lambda found: _owners(found[0], reader), text)
    text = _UNUSABLE.sub(lambda found: _unusable(found["each"], reader), text)
    text = _SETTING.sub(lambda found: f"the setting “{reader.labels.get(found['name'], found['name'])}”", text)
    for name in sorted(reader.labels, key=len, reverse=True):
        if "." in name:
            text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.])", f"“{reader.labels[name]}”", text)
    text = _QUOTED_PATH.sub(r'"\1"', text)
    text = _PATH.sub(lambda found: found["name"] or found[0].rstrip("/").rpartition("/")[2], text)
    return re.sub(r"(^[;:, ]+|[;:, ]+$)", "", text)


def _download(found: re.Match[str], reader: Reader) -> str:
    name = found["set"] or "the files"
    if not reader.downloads:
        return f"whoever runs this server can download {name}"
    if not found["replace"]:
        return f"download {name} on the Models tab"
    if reader.owner:
        return f"remove that file from the server's folder of models, and download {name} on the Models tab"
    return f"whoever runs this server has to remove that file, to download {name} on the Models tab"


def _raise_limit(found: re.Match[str], reader: Reader) -> str:
    if not reader.owner:
        return ""
    return f"{found['or'] or ''}start the app with a larger {_OPTIONS.get(found['name'], 'limit')}"


def _owners(remedy: str, reader: Reader) -> str:
    """Return what only whoever runs the server can do; commands are told to nobody on a page."""
    if reader.owner and not remedy.startswith(("python", "pip")):
        return remedy
    return "the server's log says what to do" if reader.owner else "whoever runs this server has to mend that"


def _unusable(each: str, reader: Reader) -> str:
    """Settings that cannot be, by what the page calls them."""
    problems = (_CHOICE.sub("", problem).partition(": ") for problem in each.split("; "))
    said = "; ".join(f"“{reader.labels.get(name, name)}”: {why[:1].lower()}{why[1:]}" for name, _, why in problems)
    return f"these settings cannot be used ({said})"
