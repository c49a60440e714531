"""The way of a transcript's operations to its views."""

from __future__ import annotations

from mojentic_nb.display.transcript import Transcript
from mojentic_nb.display.wire import Wire
from mojentic_nb.llm import Finish, TextDelta


def test_what_comes_together_is_sent_together():
    sent: list[dict] = []
    wire = Wire(Transcript("m"), sent.append)

    wire.feed(TextDelta("a"))
    wire.feed(TextDelta("b"))
    wire.flush()
    wire.flush()

    (message,) = sent
    assert message["seq"] == 1
    assert message["ops"][:2] == [
        ["block", 0, {"kind": "text", "parent": None, "text": "a"}],
        ["append", 0, "text", "b"],
    ]


def test_all_is_sent_by_the_end_of_pumping():
    sent: list[dict] = []
    transcript = Transcript("m")
    wire = Wire(transcript, sent.append, seq=7)

    with wire.pumping():
        for number in range(1000):
            wire.feed(TextDelta(f"{number} "))
        wire.feed(Finish("stop"))

    assert [message["seq"] for message in sent] == list(range(8, 8 + len(sent)))
    text = "".join(
        op[2]["text"] if op[0] == "block" else op[3] for m in sent for op in m["ops"] if op[0] in ("block", "append")
    )
    assert text == "".join(f"{number} " for number in range(1000))


def test_a_snapshot_has_all_that_was_sent_before_it():
    sent: list[dict] = []
    wire = Wire(Transcript("m"), sent.append)
    wire.feed(TextDelta("a"))

    snapshot = wire.snapshot()

    assert [message["seq"] for message in sent] == [snapshot["seq"]] == [1]
    assert snapshot["run"] == 0
    assert snapshot["state"]["blocks"][0]["text"] == "a"


def test_a_stop_and_an_error_are_sent():
    for end, state in ((Wire.stop, "stopped"), (lambda wire: wire.fail(ValueError("no")), "failed")):
        sent: list[dict] = []
        wire = Wire(Transcript("m"), sent.append)

        end(wire)
        wire.flush()

        assert sent[0]["ops"][-1][1]["state"] == state
