"""The examples that a small model needs before it makes a tool call, or answers from a tool's result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["EXAMPLES", "Example", "answers_like"]


@dataclass(frozen=True, slots=True)
class Example:
    """A text, and the call that fits it."""

    text: str
    name: str
    description: str
    arguments: dict[str, object]


# With fewer of them the model invents values instead of copying them from the text; a number and a date help most.
EXAMPLES = (
    Example(
        "Remind me in an hour to call my sister.",
        "remind",
        "Remind the user.",
        {"text": "call my sister", "time": "in an hour"},
    ),
    Example("We would like pizza for four people on Sunday.", "order", "Order a meal.", {"dish": "pizza", "guests": 4}),
    Example("Could you play Yesterday, please?", "play", "Play music.", {"song": "Yesterday"}),
    Example("What is 96 divided by 8?", "divide", "Divide a number by another.", {"a": 96, "b": 8}),
)
ANSWERS = (
    ("How far is it to the moon?", 'distance(place="moon") = 384400 km', "It is 384400 km to the moon."),
    (
        "Who wrote Hamlet?",
        'find_book(title="Hamlet") = {"title": "Hamlet", "author": "William Shakespeare", "year": 1603}',
        "William Shakespeare wrote Hamlet.",
    ),
    ("Subtract 58 from 731.", "subtract(a=731, b=58) = 673", "731 minus 58 is 673."),
    ("Is the shop open?", 'hours(shop="bakery") = Closed until Monday.', "No, the shop is closed until Monday."),
)
# After examples of results only, the model takes an error for a result and makes up an answer.
FAILURES = (
    (
        "Who wrote Hamlet?",
        'find_book(title="Hamlet") = find_book timed out after 10 s.',
        "I could not find the book: it timed out after 10 seconds.",
    ),
    ("What does it cost?", 'price(item="it") = ValueError: no such item', "I could not find the price: no such item."),
    (
        "How long is the river Elf?",
        "look_up(river=\"Elf\") = KeyError: 'Elf'",
        'I could not look that up: there is no "Elf".',
    ),
    (
        "Is there mail for me?",
        'read_mail(box="inbox") = ConnectionError: no route to host',
        "I could not read your mail: there is no route to the host.",
    ),
)
DENIALS = (
    (
        "Turn on the lamp.",
        'switch(device="lamp", on=true) = The call was denied.',
        "I could not turn on the lamp: the call was denied.",
    ),
    (
        "Invite Ann to dinner.",
        'invite(name="Ann") = The call was denied: not today.',
        "I could not invite Ann: the call was denied, not today.",
    ),
    (
        "Subtract 58 from 731.",
        "subtract(a=731, b=58) = The call was denied.",
        "I could not subtract 58 from 731: the call was denied.",
    ),
    (
        "How high is the tower?",
        'measure(thing="tower") = The call was denied.',
        "I could not measure the tower: the call was denied.",
    ),
)
# As `llm/tools` writes them: an error by its type and message.
FAILED = re.compile(r"\w*(?:Error|Exception)\b|.* timed out after .* s\.$")
DENIED = re.compile(r"The call (?:was denied|didn't run)")


def answers_like(results: Sequence[str]) -> Sequence[tuple[str, str, str]]:
    """Return examples of a question, a result of the same kind as `results`, and the reply."""
    if all(map(DENIED.match, results)):
        return DENIALS
    return FAILURES if all(DENIED.match(result) or FAILED.match(result) for result in results) else ANSWERS
