"""Making `musetalk` importable: from the checkout that the node pack lies in, or as it is installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_INSTALL = "install it into ComfyUI's Python:"


def checkout_of(pack: Path) -> Path | None:
    """Return the checkout that a folder of nodes lies in, links resolved; None: it lies elsewhere."""
    checkout = pack.resolve().parents[1]
    return checkout if (checkout / "musetalk" / "__init__.py").is_file() else None


def put_in_reach(pack: Path) -> None:
    """Make sure that `musetalk` can be imported, and that it is this project's.

    Args:
        pack: The folder of the nodes, which may be a link into a checkout.

    Raises:
        ImportError: It cannot be; the text says what to do.
    """
    checkout = checkout_of(pack)
    if checkout is not None:
        sys.path.insert(0, str(checkout))
    try:
        package = importlib.import_module("musetalk")
        _refuse_other(package.__file__, hasattr(package, "__version__"), checkout)
        importlib.import_module("musetalk.lipsync")
    except ModuleNotFoundError as error:
        raise ImportError(_advice(error.name or "", pack, checkout)) from error
    finally:
        if checkout is not None:  # `app`, `tests` and other names of a checkout are those of ComfyUI to everybody else
            sys.path.remove(str(checkout))
            sys.path.append(str(checkout))


def _refuse_other(file: str | None, known: bool, checkout: Path | None) -> None:
    """Refuse a package of the same name that another node pack brought first, or that is installed.

    Raises:
        ImportError: It is another one.
    """
    if not known or (checkout is not None and Path(file or "").resolve().parents[1] != checkout):
        wanted = "MuseTalk Hybrid" if checkout is None else f"that of {checkout}"
        raise ImportError(
            f'ComfyUI has loaded another package called "musetalk" ({file}), not {wanted}: take the other node pack '
            "out of custom_nodes, or uninstall that package"
        )


def _advice(missing: str, pack: Path, checkout: Path | None) -> str:
    """Return what to do where a module is missing."""
    python = Path(sys.executable)
    if checkout is not None:
        requirements = checkout / "requirements.txt"
        return f'MuseTalk Hybrid needs "{missing}": {_INSTALL} {python} -m pip install -r {requirements}'
    if missing == "musetalk":
        return (
            f"{pack} lies in no checkout of MuseTalk Hybrid, and none is installed: link the folder from a checkout "
            f"instead of copying it, or {_INSTALL} {python} -m pip install PATH_OF_A_CHECKOUT"
        )
    return f'MuseTalk Hybrid needs "{missing}": {_INSTALL} {python} -m pip install {missing}'
