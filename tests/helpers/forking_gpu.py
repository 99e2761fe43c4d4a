"""A stand-in for `spaces.GPU` that runs generator functions as it does, in a process of their own."""

from __future__ import annotations

import contextvars
import multiprocessing
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

account: contextvars.ContextVar[str] = contextvars.ContextVar("account", default="nobody")


class Refused(Exception):
    """As gradio's: a title, and a message that may not be what `str` gives."""

    def __init__(self, title: str, message: str) -> None:
        self.title, self.message = title, message
        super().__init__("something else")


@dataclass
class ForkingGpu:
    """Does what `spaces.GPU` does with a generator function, in a process per call."""

    refusal: str = ""
    before_fork: Callable[[], None] = lambda: None
    asked: list[int] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    processes: list[Any] = field(default_factory=list)

    def __call__(self, *, duration: Callable[..., int]) -> Callable[..., Any]:
        def decorate(task: Callable[..., Generator[Any, None, None]]) -> Callable[..., Generator[Any, None, None]]:
            def run(order: object) -> Generator[Any, None, None]:
                self.asked.append(duration(order))
                self.accounts.append(account.get())
                if self.refusal:
                    raise Refused("ZeroGPU quota exceeded", self.refusal)
                self.before_fork()
                yield from self._messages(task, order)

            return run

        return decorate

    def _messages(self, task: Callable[..., Generator[Any, None, None]], order: object) -> Generator[Any, None, None]:
        forking = multiprocessing.get_context("fork")
        orders, stop = forking.SimpleQueue(), forking.Event()
        answers, ours = forking.Pipe(duplex=False)
        process = forking.Process(target=_serve, args=(task, orders, ours, stop), daemon=True)
        process.start()
        self.processes.append(process)
        ours.close()
        orders.put(order)
        try:
            while (answer := _receive(answers))[0] == "yielded":
                try:
                    yield answer[1]
                except GeneratorExit:
                    stop.set()
                    while _receive(answers)[0] == "yielded":
                        pass
                    raise
        finally:
            process.join()
        if answer[0] != "ended":
            raise Refused("ZeroGPU worker error", answer[1])


def _receive(answers: Connection) -> tuple[str, Any]:
    try:
        answer: tuple[str, Any] = answers.recv()
    except (EOFError, OSError):
        return "gone", "GPU task aborted."
    return answer


def _serve(
    task: Callable[..., Generator[Any, None, None]],
    orders: multiprocessing.SimpleQueue[object],
    answers: Connection,
    stop: Event,
) -> None:
    messages = task(orders.get())
    try:
        for message in messages:
            if stop.is_set():
                messages.close()
                break
            answers.send(("yielded", message))
    except Exception as error:  # noqa: BLE001 - so it is there: nothing but the class's name comes back
        answers.send(("raised", type(error).__name__))
    else:
        answers.send(("ended", None))
