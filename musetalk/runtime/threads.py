"""How many threads libraries take in a process that is there for renders."""

from __future__ import annotations

import cv2

from musetalk.utils.cores import share_threads, usable_cores
from musetalk.utils.modules import imported


def bound_threads() -> None:
    """Let OpenCV, and torch where it is imported, take no more threads than there are cores for them.

    Stages run beside each other, and each asks OpenCV; torch counts the machine's cores, whatever part of them its
    container may use. This is for the whole process, so only programs that own theirs call it, never a library.
    """
    cores = usable_cores()
    cv2.setNumThreads(share_threads(cores).vision)
    torch = imported("torch")
    if torch is not None and torch.get_num_threads() > cores:
        torch.set_num_threads(cores)
