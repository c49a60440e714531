"""The way of a transcript's operations to its views."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from mojentic_nb.display.channel import Channel
from mojentic_nb.display.transcript import Transcript
from mojentic_nb.llm import Finish, TextDelta, Usage


def test_what_comes_together_is_sent_together():
    sent: list[dict] = []
    channel = Channel(Transcript("m"), sent.append)

    channel.apply(Transcript.feed, TextDelta("a"))
    channel.apply(Transcript.feed, TextDelta("b"))
    channel.flush()
    channel.flush()

    (message,) = sent
    assert message["seq"] == 1
    assert message["ops"][:2] == [
        ["block", 0, {"kind": "text", "parent": None, "text": "a"}],
        ["append", 0, "text", "b"],
    ]


def test_all_is_sent_by_the_end_of_pumping():
    sent: list[dict] = []
    transcript = Transcript("m")
    channel = Channel(transcript, sent.append, seq=7)

    with channel.pumping():
        for number in range(1000):
            channel.apply(Transcript.feed, TextDelta(f"{number} "))
        channel.apply(Transcript.feed, Finish("stop"))

    assert [message["seq"] for message in sent] == list(range(8, 8 + len(sent)))
    text = "".join(
        op[2]["text"] if op[0] == "block" else op[3] for m in sent for op in m["ops"] if op[0] in ("block", "append")
    )
    assert text == "".join(f"{number} " for number in range(1000))


def test_what_has_come_is_sent_while_the_model_pauses_and_the_thread_ends_with_the_run():
    sent: SimpleQueue[dict] = SimpleQueue()
    channel = Channel(Transcript("m"), sent.put)
    before = set(threading.enumerate())

    with channel.pumping():
        (pump,) = set(threading.enumerate()) - before
        for piece in "ab":
            channel.apply(Transcript.feed, TextDelta(piece))
            assert piece in str(sent.get(timeout=30)["ops"])

    pump.join(30)
    assert not pump.is_alive()


def test_what_comes_while_something_is_sent_waits_for_it():
    numbers: list[int] = []
    transcript = Transcript("m")

    def send(message: dict) -> None:
        numbers.append(message["seq"])
        if not other.ident:
            other.start()
            other.join(0.05)  # it can't end before this does
            assert transcript.state()["blocks"][0]["text"] == "a"
            assert other.is_alive()

    def go_on() -> None:
        channel.apply(Transcript.feed, TextDelta("b"))
        channel.flush()

    channel = Channel(transcript, send)
    other = threading.Thread(target=go_on)
    channel.apply(Transcript.feed, TextDelta("a"))
    channel.flush()
    other.join()

    assert numbers == [1, 2]
    assert transcript.state()["blocks"][0]["text"] == "ab"


def test_a_snapshot_has_all_that_was_sent_before_it():
    sent: list[dict] = []
    channel = Channel(Transcript("m"), sent.append)
    channel.apply(Transcript.feed, TextDelta("a"))

    snapshot = channel.snapshot()

    assert [message["seq"] for message in sent] == [snapshot["seq"]] == [1]
    assert (snapshot["run"], Channel(Transcript("m"), sent.append, seq=7).snapshot()["run"]) == (0, 7)
    assert snapshot["state"]["blocks"][0]["text"] == "a"


def test_a_stop_and_an_error_are_sent():
    for end, state in (
        (lambda channel: channel.apply(Transcript.stop, Usage()), "stopped"),
        (lambda channel: channel.apply(Transcript.fail, ValueError("no"), Usage()), "failed"),
    ):
        sent: list[dict] = []
        channel = Channel(Transcript("m"), sent.append)

        end(channel)
        channel.flush()

        assert sent[0]["ops"][-1][1]["state"] == state
