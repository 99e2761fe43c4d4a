from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from musetalk.errors import LiveError
from musetalk.live.slots import Slots


def nobody(_before: int) -> None:
    raise AssertionError("nobody has to wait")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_places_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    order, told = list[int](), list[tuple[int, int]]()

    async def wait(slots: Slots, number: int, leave: asyncio.Event) -> None:
        def tell(before: int) -> None:
            told.append((number, before))

        async with slots.place(tell):
            order.append(number)
            await leave.wait()

    async def run() -> None:
        slots, leave = Slots(1, 8), [asyncio.Event() for _ in range(4)]
        tasks = [asyncio.create_task(wait(slots, number, leave[number])) for number in range(4)]
        await settle()
        assert order == [0]
        assert told == [(1, 0), (2, 1), (3, 2)]
        tasks[2].cancel()  # somebody goes who waited
        await settle()
        assert told[3:] == [(1, 0), (3, 1)]
        leave[0].set()
        await settle()
        assert order == [0, 1]
        leave[1].set()
        await settle()
        assert order == [0, 1, 3]
        leave[3].set()
        await settle()
        async with slots.place(nobody):
            order.append(4)
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    assert order == [0, 1, 3, 4]


def test_no_more_wait_than_may() -> None:
    def quiet(_before: int) -> None:
        pass

    async def run() -> None:
        slots = Slots(2, 1)
        async with AsyncExitStack() as taken:
            await taken.enter_async_context(slots.place(nobody))
            await taken.enter_async_context(slots.place(nobody))
            waiting = asyncio.create_task(AsyncExitStack().enter_async_context(slots.place(quiet)))
            await settle()
            with pytest.raises(LiveError):
                async with slots.place(quiet):
                    pass
            waiting.cancel()
            await settle()
        async with slots.place(nobody):  # all are free again
            pass

    asyncio.run(run())
