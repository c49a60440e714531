"""Runs driven both ways, so that one test can ask the same of both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice

from mojentic_nb.llm import AsyncRun, Event, LLMBroker, Run

BOTH = ["sync", "async"]


def begin(broker: LLMBroker, how: str, *asked, **options) -> Run | AsyncRun:
    """A run that has not begun."""
    return (broker.astream if how == "async" else broker.stream)(*asked, **options)


def events_of(run: Run | AsyncRun, seen: Callable[[Event], None] = lambda _: None) -> list[Event]:
    """All events of the run, each shown to `seen` as it comes."""
    events = []

    def take(event: Event) -> None:
        events.append(event)
        seen(event)

    async def iterate() -> None:
        async for event in run:
            take(event)

    if isinstance(run, AsyncRun):
        asyncio.run(iterate())
    else:
        for event in run:
            take(event)
    return events


def closed_after(run: Run | AsyncRun, count: int) -> list[Event]:
    """The first `count` events of a run that is closed then."""

    async def iterate() -> list[Event]:
        events = []
        async with run:
            async for event in run:
                events.append(event)
                if len(events) >= count:
                    break
        return events

    if isinstance(run, AsyncRun):
        return asyncio.run(iterate())
    with run:
        return list(islice(run, count))


def interrupted_after(run: Run | AsyncRun, count: int) -> list[Event]:
    """The first `count` events of a run that is interrupted then, as by Ctrl-C or by the end of its task."""

    async def iterate() -> list[Event]:
        iterator = aiter(run)
        events = [await anext(iterator) for _ in range(count)]
        try:
            await iterator.athrow(asyncio.CancelledError)
        except asyncio.CancelledError:
            return events
        raise AssertionError("the interrupt was swallowed")

    if isinstance(run, AsyncRun):
        return asyncio.run(iterate())
    iterator = iter(run)
    events = list(islice(iterator, count))
    try:
        iterator.throw(KeyboardInterrupt)
    except KeyboardInterrupt:
        return events
    raise AssertionError("the interrupt was swallowed")
