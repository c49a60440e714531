"""Recording what a model answers, and having it again: offline, for nothing, the same each time."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from driving import BOTH, begin, closed_after, events_of, interrupted_after
from fuzzing import examples
from grammar import assert_run
from hypothesis import given
from hypothesis import strategies as st
from loopback import PATIENCE, Loopback, Reply, json_reply
from providers_on_wire import KEY, PROVIDERS
from pydantic import BaseModel
from weather import Weather, call

from mojentic_nb.llm import (
    ChatSession,
    CompletionConfig,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    MessageRole,
    Notice,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.errors import (
    AuthenticationError,
    ConfigurationError,
    ContextWindowError,
    IncompleteAnswerWarning,
    IncompleteStreamError,
    LLMError,
    ProviderUnavailableError,
    RateLimitError,
)
from mojentic_nb.llm.gateways import (
    OpenAIGateway,
    RecordingGateway,
    ReplayGateway,
    ReplayMissError,
    ScriptedGateway,
    record_or_replay,
)
from mojentic_nb.llm.gateways.models import LLMGatewayResponse
from mojentic_nb.llm.gateways.replay.locking import locked
from mojentic_nb.llm.gateways.replay.recordings import Exchange, save
from mojentic_nb.llm.providers import broker_for

QUESTION = [LLMMessage(role=MessageRole.System, content="Be brief."), LLMMessage(content="Is it sunny in Rome?")]
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "x/y+z="}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to record, in a folder that is not there yet; the program runs beside it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recordings" / "runs.json"


def calling(call_id: str = "toolu_1", *cities: str) -> list:
    """A step that thinks, says something and calls, with the ids that the provider makes."""
    calls = [call(f"{call_id}{number}", city) for number, city in enumerate(cities or ("Rome", "Paris"))]
    return [
        ReasoningDelta("Two "),
        ReasoningDelta("cities."),
        ReasoningDelta("", SIGNED),
        TextDelta("Let me "),
        TextDelta("see. "),
        *(ToolCallStart(made.id, made.name) for made in calls),
        *(ToolCallDelta(made.id, piece) for piece in ('{"ci', 'ty": …}') for made in calls),
        *map(ToolCallEnd, calls),
        StepFinish("tool_calls", Usage(10, 5, 2, 1)),
    ]


def recorder(path: Path, *script, **options) -> LLMBroker:
    return LLMBroker("a-model", RecordingGateway(ScriptedGateway(script), path, **options), max_retries=2)


def replayer(path: Path, **options) -> LLMBroker:
    return LLMBroker("a-model", ReplayGateway(path, **options), max_retries=2)


def content_of(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def answers_in(path: Path) -> list[list[dict]]:
    return [exchange["answer"] for exchange in content_of(path)["exchanges"]]


def without_ids(events: list) -> list:
    """The events, with calls named by the order in which they began, and no durations."""
    text = re.sub(r"duration=[\d.e-]+", "", repr(events))
    ids = dict.fromkeys(re.findall(r"ToolCallStart\(id='([^']+)'", text))
    for number, call_id in enumerate(ids):
        text = text.replace(repr(call_id), f"'call {number}'")
    return text


@pytest.mark.parametrize("how_replayed", BOTH)
@pytest.mark.parametrize("how", BOTH)
def test_a_run_with_its_tools_is_the_same_again(path: Path, how: str, how_replayed: str):
    asking = recorder(path, calling(), [TextDelta("Sunny "), TextDelta("in both."), StepFinish("stop", Usage(30, 4))])
    recorded = events_of(begin(asking, how, QUESTION, [Weather()]))

    run = begin(replayer(path), how_replayed, QUESTION, [Weather()])
    replayed = events_of(run)

    assert_run(replayed)
    assert without_ids(replayed) == without_ids(recorded)
    assert run.messages[2].reasoning_details == [SIGNED]
    assert run.usage == Usage(40, 9, 2, 1)


def test_the_file_can_be_read_and_compared(path: Path):
    recorder(path, calling(), "Sunny in both.").generate(QUESTION, [Weather()], config=CompletionConfig(temperature=0))

    text = re.sub(r'"ms": \[.*\]', '"ms": …', path.read_text("utf-8"))
    assert text.startswith('{\n "format": "mojentic_nb recording",\n "version": 1,\n "exchanges": [\n  {\n')
    lines = [line.strip() for line in text.splitlines()]
    first, second = text.split('"request"')[1:]
    assert '{"role": "user", "content": "Is it sunny in Rome?"}' in lines
    assert '"settings": {"temperature": 0.0},' in lines
    assert '{"reasoning": ["Two ", "cities."]},' in lines
    assert '{"text": ["Let me ", "see. "]},' in lines
    assert '{"call": "call_2_1", "name": "weather", "arguments": {"city": "Paris"}},' in lines
    assert '{"role": "tool", "content": "Sunny in Rome.", "answers": "call_2_0"},' in lines
    assert first.count("\n") < 35 > second.count("\n")
    assert "toolu_" not in text


def test_recording_the_same_answers_again_changes_the_timing_only(path: Path):
    def record(path: Path, call_id: str) -> str:
        recorder(path, calling(call_id), "Sunny in both.").generate(QUESTION, [Weather()])
        return re.sub(r'"ms": \[.*\]', "", path.read_text("utf-8"))

    first = record(path, "toolu_abc")
    assert record(path, "toolu_xyz") == first
    assert record(path.with_name("new.json"), "call_") == first


def test_the_order_of_asking_does_not_matter_for_the_file(path: Path):
    asked = ["B?", "A?", "C?"]
    for name, order in {"one": asked, "two": sorted(asked)}.items():
        asking = recorder(path.with_name(name), *(f"To {text}" for text in order))
        for text in order:
            asking.generate([LLMMessage(content=text)])

    one, two = ([e["request"] for e in content_of(path.with_name(name))["exchanges"]] for name in ("one", "two"))
    assert one == two


@examples(60)
@given(st.lists(st.one_of(st.text(max_size=30).map(TextDelta), st.text(max_size=30).map(ReasoningDelta)), max_size=30))
def test_any_pieces_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, pieces: list):
    path = tmp_path_factory.mktemp("any") / "runs.json"
    script = [*pieces, StepFinish("length", Usage(1, 2, 3, 4))]

    recorded = events_of(recorder(path, script).stream(QUESTION))

    assert events_of(replayer(path).stream(QUESTION)) == recorded


def test_a_notice_is_replayed(path: Path):
    script = [Notice("1 image was left out: m reads text only."), TextDelta("Yes."), StepFinish("stop")]
    events_of(recorder(path, script).stream(QUESTION))

    assert events_of(replayer(path).stream(QUESTION))[:3] == script


def test_two_pieces_of_reasoning_that_both_go_back_stay_two(path: Path):
    script = [ReasoningDelta("", SIGNED), ReasoningDelta("", SIGNED), TextDelta("Yes."), StepFinish("stop")]
    recorder(path, script).generate(QUESTION)

    assert events_of(replayer(path).stream(QUESTION))[:3] == script[:3]


def test_a_long_answer_takes_little_more_than_its_text(path: Path):
    words = "one two three four " * 250
    recorder(path, words).generate(QUESTION)

    assert path.stat().st_size < 3.2 * len(words)
    assert max(len(line) for line in path.read_text().splitlines() if '"ms"' not in line) < 250


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("name", PROVIDERS)
def test_what_a_provider_sent(name: str, how: str, server: Loopback, path: Path):
    provider = PROVIDERS[name]
    server.play(Reply([provider.piece("Sunny "), provider.answer("in Rome.")]))
    gateway = RecordingGateway(provider.gateway(server.url), path)

    recorded = events_of(begin(LLMBroker("a-model", gateway), how, QUESTION))
    server.close()

    assert events_of(begin(replayer(path), how, QUESTION)) == recorded
    assert KEY not in path.read_text()


def test_a_gateway_that_was_written_for_mojentic(path: Path):
    class Gateway:
        def complete(self, model, messages, **_):
            return LLMGatewayResponse(content=f"{model}: {len(messages)} messages")

    asking = LLMBroker("a-model", RecordingGateway(Gateway(), path))

    assert asking.generate(QUESTION) == replayer(path).generate(QUESTION) == "a-model: 2 messages"
    with pytest.raises(NotImplementedError, match="can't stream"):
        asking.stream(QUESTION)
    assert RecordingGateway(type("Bare", (), {"stream": None})(), path).can_stream("a-model")


class Person(BaseModel):
    name: str


def test_objects(path: Path):
    ada = recorder(path, '{"name": "Ada"}').generate_object(QUESTION, Person)

    assert replayer(path).generate_object(QUESTION, Person) == ada == Person(name="Ada")
    with pytest.raises(ReplayMissError, match=r"\n-schema: "):
        replayer(path).generate(QUESTION)


def test_objects_that_were_said_and_mojentics_calls(path: Path):
    messages = [
        *QUESTION,
        LLMMessage(role=MessageRole.Assistant, object=Person(name="Ada")),
        LLMMessage(content="Who?"),
        LLMMessage(role=MessageRole.Assistant, content="Ada", object=Person(name="Ada")),
    ]
    assert recorder(path, "Ada.").adapter.complete("a-model", messages).content == "Ada."

    assert replayer(path).adapter.complete("a-model", messages).content == "Ada."
    said = [message["content"] for message in content_of(path)["exchanges"][0]["request"]["messages"]]
    assert said[2:] == ['{"name":"Ada"}', "Who?", "Ada"]


# What makes a request this one


def test_images_are_known_by_their_content(path: Path, tmp_path: Path):
    image = tmp_path / "a.png"
    image.write_bytes(b"\x89PNG one")
    data = f"data:image/png;base64,{base64.b64encode(b'data').decode()}"
    link = "https://user:password1@example.com/c.png"

    def question(*paths: str) -> list[LLMMessage]:
        return [LLMMessage(content="What is it?", image_paths=list(paths))]

    recorder(path, "A tower.").generate(question(str(image), data, link))
    image.rename(tmp_path / "b.png")

    assert replayer(path).generate(question(str(tmp_path / "b.png"), data, link)) == "A tower."
    (tmp_path / "b.png").write_bytes(b"\x89PNG two")
    with pytest.raises(ReplayMissError, match="sha256"):
        replayer(path).generate(question(str(tmp_path / "b.png"), data, link))
    with pytest.raises(ConfigurationError, match="Can't read the"):
        replayer(path).generate(question(str(image)))
    assert str(tmp_path) not in path.read_text()
    assert "https://(secret)@example.com/c.png" in path.read_text()


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"messages": [*QUESTION[:1], LLMMessage(content="Is it sunny in Oslo?")]}, "+user: Is it sunny in Oslo?"),
        ({"messages": QUESTION[1:]}, "-system: Be brief."),
        ({"model": "another"}, "+model: another"),
        ({"temperature": 0.5}, '+settings: {"temperature": 0.5}'),
        ({"tools": None}, "-tools: "),
        ({"tool_choice": "required"}, "+tool_choice: required"),
    ],
    ids=["words", "a message", "model", "settings", "tools", "tool_choice"],
)
@pytest.mark.parametrize("how", BOTH)
def test_a_miss_shows_the_nearest_request_and_how_they_differ(path: Path, how: str, other: dict, differs: str):
    asking = recorder(path, "It is.", "Nothing.")
    asking.generate(QUESTION, [Weather()])
    asking.generate([LLMMessage(content="Something quite different")], model="third")

    with pytest.raises(ReplayMissError) as miss:
        events_of(begin(replayer(path), how, **{"messages": QUESTION, "tools": [Weather()], **other}))

    head, *compared = str(miss.value).splitlines()
    assert head == (
        f"This request isn't in the recording {str(path)!r}. Record it, or repeat a recorded request. "
        "The most similar one differs:"
    )
    assert compared[:2] == ["--- recorded", "+++ asked"]
    assert [line for line in compared if line.startswith(differs)]
    assert not any("quite different" in line for line in compared)


def test_the_nearest_of_questions_that_share_no_line_is_the_one_that_shares_words(path: Path):
    asking = recorder(path, "No.", "Yes.")
    for question in ("Did a cat come?", "Is it sunny in Rome?"):
        asking.generate([LLMMessage(content=question)])

    with pytest.raises(ReplayMissError, match="-user: Is it sunny in Rome?"):
        replayer(path).generate([LLMMessage(content="Is it sunny in Oslo?")])


def test_a_long_difference_is_cut(path: Path):
    recorder(path, "Yes.").generate(QUESTION)

    with pytest.raises(ReplayMissError) as miss:
        replayer(path).generate([LLMMessage(content="word " * 2000)])

    lines = str(miss.value).splitlines()
    assert len(lines) == 42
    assert max(map(len, lines[1:])) <= 101
    assert re.fullmatch(r"… and \d+ more lines", lines[-1])


def test_an_empty_recording(path: Path):
    path.parent.mkdir()
    path.write_text('{"format": "mojentic_nb recording", "version": 1, "exchanges": []}')

    with pytest.raises(ReplayMissError, match="The recording is empty."):
        replayer(path).generate(QUESTION)
    with pytest.raises(ConfigurationError, match=r"has 0 models \(it is empty\)"):
        broker_for(f"replay:{path}")


def test_settings_that_no_provider_is_told_make_no_difference(path: Path):
    recorder(path, "It is.").generate(QUESTION)

    config = CompletionConfig(max_tool_iterations=3, think_tags=True)
    assert replayer(path).generate(QUESTION, config=config, correlation_id="another") == "It is."


# The same request several times


@pytest.mark.parametrize("how", BOTH)
def test_a_request_that_was_recorded_several_times(path: Path, how: str):
    asking = recorder(path, "Heads.", "Tails.")
    recorded = [text_of(asking, how), text_of(asking, how)]

    replay = replayer(path)
    assert [text_of(replay, how) for _ in range(5)] == [*recorded, *recorded, "Heads."]


def text_of(broker: LLMBroker, how: str) -> str:
    return asyncio.run(broker.agenerate(QUESTION)) if how == "async" else broker.generate(QUESTION)


def test_recording_again_takes_the_place_of_what_there_was_and_leaves_the_rest(path: Path):
    other = [LLMMessage(content="Another?")]
    asking = recorder(path, "Heads.", "Tails.", "Other.")
    for question in (QUESTION, QUESTION, other):
        asking.generate(question)

    recorder(path, "Edge.").generate(QUESTION)

    replay = replayer(path)
    assert [replay.generate(question) for question in (QUESTION, QUESTION, other)] == ["Edge.", "Edge.", "Other."]


def test_several_threads_record_to_one_file(path: Path):
    asking = [recorder(path, f"Answer {number}.") for number in range(8)]
    questions = [[LLMMessage(content=f"Question {number}?")] for number in range(8)]
    threads = [
        threading.Thread(target=broker.generate, args=(question,))
        for broker, question in zip(asking, questions, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    replay = replayer(path)
    assert [replay.generate(question) for question in questions] == [f"Answer {number}." for number in range(8)]


RECORDING = """
import sys
from mojentic_nb.llm import LLMBroker, LLMMessage
from mojentic_nb.llm.gateways import RecordingGateway, ScriptedGateway
who, path = sys.argv[1:]
broker = LLMBroker("a-model", RecordingGateway(ScriptedGateway(["Yes."] * 30), path))
sys.stdin.readline()
for number in range(30):
    broker.generate([LLMMessage(content=f"{who} {number}?")])
"""


def test_several_processes_record_to_one_file(path: Path):
    command = [sys.executable, "-c", RECORDING]
    writers = [subprocess.Popen([*command, who, str(path)], stdin=subprocess.PIPE) for who in ("One", "Two")]
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.close()

    assert [writer.wait(4 * PATIENCE) for writer in writers] == [0, 0]
    assert len(content_of(path)["exchanges"]) == 60
    assert list(path.parent.iterdir()) == [path]


def test_a_recording_waits_for_whoever_changes_the_file(path: Path):
    """The lock's file is another one after the holder has removed it, so whoever waited has to look again."""
    path.parent.mkdir()
    asking = [threading.Thread(target=recorder(path, "Yes.").generate, args=(QUESTION,)) for _ in range(3)]
    deadline = time.monotonic() + PATIENCE
    with locked(path):
        for thread in asking:
            thread.start()
        while sum(file.path.endswith(".lock") for file in psutil.Process().open_files()) < 4:
            assert time.monotonic() < deadline
    for thread in asking:
        thread.join(PATIENCE)

    assert replayer(path).generate(QUESTION) == "Yes."


def test_an_interrupt_while_another_changes_the_file_leaves_nothing_open(path: Path):
    path.parent.mkdir()
    asking, main = recorder(path, "Yes."), threading.main_thread().ident
    begun, ended = threading.Event(), threading.Event()

    def locks() -> int:
        return sum(file.path.endswith(".lock") for file in psutil.Process().open_files())

    def change() -> None:
        with locked(path):
            begun.set()
            while locks() < 2:
                pass
            signal.pthread_kill(main, signal.SIGINT)
            ended.wait(PATIENCE)

    other = threading.Thread(target=change)
    other.start()
    begun.wait(PATIENCE)
    with pytest.raises(KeyboardInterrupt):
        asking.adapter._keep(Exchange({"model": "a-model", "messages": []}, [], []))
    assert locks() == 1
    ended.set()
    other.join()

    assert locks() == 0


# How answers end


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("kind", [RateLimitError, ContextWindowError, ProviderUnavailableError])
def test_what_failed_fails_the_same(path: Path, how: str, kind: type[LLMError]):
    error = kind("It did not work.")
    error.transient = False
    script = [TextDelta("Well, "), error]

    for make in (lambda: recorder(path, script), lambda: replayer(path)):
        run = begin(make(), how, QUESTION)
        with pytest.raises(kind, match="^It did not work.$") as failure:
            events_of(run)
        assert failure.value.partial.content == "Well, "
        assert not failure.value.transient


def test_every_kind_of_error_comes_back_and_is_a_new_one_each_time(path: Path):
    class OwnError(RateLimitError):
        pass

    with pytest.raises(OwnError):
        recorder(path, [TextDelta("x"), OwnError("Slowly.")]).generate(QUESTION)

    replay, failures = replayer(path), []
    for _ in range(2):
        with pytest.raises(RateLimitError, match=r"^Slowly\.$") as failure:
            replay.generate(QUESTION)
        failures.append(failure.value)
    assert failures[0] is not failures[1]


@pytest.mark.parametrize("how", BOTH)
def test_a_request_that_was_retried_is_retried_again_without_waiting(path: Path, how: str):
    def busy() -> RateLimitError:
        error = RateLimitError("Busy. Retry later.")
        error.retry_after, error.advice = 0.01, "Retry later."
        return error

    recorded = events_of(begin(recorder(path, [busy()], "Yes."), how, QUESTION))
    replay = replayer(path)

    for _ in range(2):
        replayed = events_of(begin(replay, how, QUESTION))
        assert replayed[0] == Retry(1, 0.0, "Busy.")
        assert replayed[1:] == recorded[1:]
    assert next(iter(replayer(path, speed=1.0).stream(QUESTION))) == Retry(1, 0.01, "Busy.")


@pytest.mark.parametrize("how", BOTH)
def test_an_answer_that_broke_off(path: Path, how: str):
    for make in (lambda: recorder(path, [TextDelta("Well")]), lambda: replayer(path)):
        with pytest.raises(IncompleteStreamError) as failure:
            events_of(begin(make(), how, QUESTION))
        assert failure.value.partial.content == "Well"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("error", [AuthenticationError("A wrong key."), ConfigurationError("No extra.")])
def test_what_is_wrong_on_this_side_is_not_recorded(path: Path, how: str, error: LLMError):
    with pytest.raises(type(error)):
        events_of(begin(recorder(path, [error]), how, QUESTION))

    assert not path.exists()


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("end", [closed_after, interrupted_after])
def test_an_answer_that_was_left_is_not_recorded(path: Path, how: str, end):
    end(begin(recorder(path, "One two three."), how, QUESTION), 2)

    assert not path.exists()


class Cancelling:
    """Its answers are cancelled in the middle, and end with an error of the broken connection, or without a word."""

    def __init__(self, error: LLMError | None) -> None:
        self._error = error

    def stream(self, request):
        yield TextDelta("Well")
        request.cancellation.cancel()
        if self._error:
            raise self._error


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("error", [None, IncompleteStreamError("gone")])
def test_nor_is_one_that_was_cancelled(path: Path, how: str, error: LLMError | None):
    run = begin(LLMBroker("a-model", RecordingGateway(Cancelling(error), path)), how, QUESTION)

    events_of(run)

    assert (run.finish_reason, run.messages[-1].content) == ("cancelled", "Well")
    assert not path.exists()


@pytest.mark.parametrize("how", BOTH)
def test_an_answer_is_recorded_when_its_last_event_is_seen(path: Path, how: str):
    """The reader may go then: nothing more comes of that request."""
    closed_after(begin(recorder(path, "One."), how, QUESTION), 2)

    assert replayer(path).generate(QUESTION) == "One."


# Timing


@pytest.mark.parametrize("how", BOTH)
def test_timing_is_recorded_and_replayed(path: Path, how: str):
    def slowly():
        yield TextDelta("One ")
        time.sleep(0.15)
        yield TextDelta("two.")
        yield StepFinish("stop")

    class Slow:
        def stream(self, _):
            return slowly()

    LLMBroker("a-model", RecordingGateway(Slow(), path)).generate(QUESTION)
    ms = content_of(path)["exchanges"][0]["ms"]
    assert ms[0] < 100 <= ms[1] < 1000
    assert ms[2] < 100
    assert all(wait % 10 == 0 for wait in ms)

    def seconds(**options) -> float:
        started = time.monotonic()
        events_of(begin(replayer(path, **options), how, QUESTION))
        return time.monotonic() - started

    assert seconds(speed=1.0) >= ms[1] / 1000
    assert seconds(speed=1000.0) < ms[1] / 1000
    assert seconds() < ms[1] / 1000


@pytest.mark.parametrize("how", BOTH)
def test_a_replay_that_waits_can_be_cancelled(path: Path, how: str):
    recorder(path, "One two.").generate(QUESTION)
    content = content_of(path)
    content["exchanges"][0]["ms"] = [0, 3_600_000, 0]
    path.write_text(json.dumps(content))
    run = begin(replayer(path, speed=1.0), how, QUESTION)

    assert_run(events_of(run, lambda _: threading.Timer(0.05, run.cancel).start()))

    assert (run.finish_reason, run.messages[-1].content) == ("cancelled", "One")


# Secrets


def keys() -> dict[str, str]:
    """What looks like a secret, put together here so that no scanner takes it for one."""
    return {
        "openai": "sk-" + "proj-Abcdefgh12345678",
        "anthropic": "sk-ant-" + "api03-Abcd_efgh-12345678",
        "github": "ghp_" + "a1B2" * 9,
        "hugging face": "hf_" + "a1B2" * 6,
        "slack": "xoxb-" + "1234567890-abc",
        "google": "AIza" + "Sy" + "a1B2" * 9,
        "aws": "AKIA" + "ABCDEFGH12345678",
        "jwt": "eyJ" + "hbGciOiJI." + "eyJzdWIiOiIx" + ".SflKxwRJ",
        "bearer": "Bearer " + "abcdef1234567890",
        "url": "https://ann:" + "open-sesame@example.com/",
        "pem": "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----",
        "environment": "correct horse battery",
        "named": "open sesame",
    }


@pytest.mark.parametrize("name", keys())
def test_secrets_do_not_get_into_the_file(path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_SERVICE_PASSWORD", keys()["environment"])
    secret = keys()[name]
    core = max(re.split(r"Bearer |https://|@example.com/|\n", secret), key=len)
    made = LLMToolCall(id="a", name="weather", arguments={"city": [secret]}, error=f"{secret} is no city")
    question = [*QUESTION[:1], LLMMessage(content=f"Use {secret}, please.")]
    letters = [TextDelta(letter) for letter in f"I use {secret}, thanks."]
    pieces = [ToolCallDelta("a", letter) for letter in json.dumps({"city": [secret]})]
    script = [
        *[ReasoningDelta(piece) for piece in (secret[:5], secret[5:])],
        ReasoningDelta("", {"text": secret}),
        *letters,
        ToolCallStart("a", "weather"),
        *pieces,
        ToolCallEnd(made),
        StepFinish("tool_calls"),
    ]
    recording = recorder(path, script, [BadKeyError(f"The key {secret} is used up")], secrets=[keys()["named"]])

    with pytest.raises(BadKeyError):
        recording.generate(question, [Weather()])

    text = path.read_text("utf-8")
    assert core not in text
    assert json.dumps(core)[1:-1] not in text
    assert text.count("(secret)") >= 8
    assert '"details"' in text
    with pytest.raises(RateLimitError, match="The key .*(secret)"):
        replayer(path, secrets=[keys()["named"]]).generate(question, [Weather()])


class BadKeyError(RateLimitError):
    transient = False


def test_a_secret_in_one_of_two_calls_leaves_the_other_as_it_is(path: Path):
    said = {"a": '{"city": "Rome"}', "b": json.dumps({"city": keys()["openai"]})}
    calls = [event for id_ in said for event in (ToolCallStart(id_, "weather"), ToolCallDelta(id_, said[id_]))]
    with pytest.warns(IncompleteAnswerWarning, match="token limit"):
        recorder(path, [*calls, StepFinish("length")]).generate(QUESTION)

    events = events_of(replayer(path).stream(QUESTION))

    deltas = [event.delta for event in events if isinstance(event, ToolCallDelta)]
    assert deltas == [said["a"], '{"city": "(secret)"}']


def test_of_a_secret_that_begins_like_another_nothing_is_left(path: Path):
    recorder(path, "Yes.", secrets=["open", "open sesame"]).generate([LLMMessage(content="Say open sesame.")])

    assert "sesame" not in path.read_text()


def test_one_secret_may_be_given_as_it_is(path: Path):
    """Not as that many letters, each of them a secret."""
    question = [LLMMessage(content="Say open sesame.")]
    recorder(path, "open sesame it is", secrets="open sesame").generate(question)

    assert replayer(path, secrets="open sesame").generate(question) == "(secret) it is"


def test_what_merely_resembles_a_secret_stays(path: Path):
    text = "A task-management-system-for-all, https://example.com/a:b, KEY, a@b.c and Bearer instruments"
    recorder(path, text, secrets=[""]).generate(QUESTION)

    assert replayer(path).generate(QUESTION) == text


def test_where_the_program_runs_is_nobodys_business(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """So a recording that was made on one machine replays on another."""

    def at(home: str, folder: str) -> list[LLMMessage]:
        for place in (home, folder):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("HOME", str(tmp_path / home))
        monkeypatch.setenv("USERPROFILE", str(tmp_path / home))
        monkeypatch.chdir(tmp_path / folder)
        return [LLMMessage(content=f"Read {tmp_path / folder / 'a.txt'} and {tmp_path / home / 'b.txt'}.")]

    question = at("ann", "ann/project")
    others = " ".join(f"{tmp_path / 'ann'}{more}" for more in ("-2", ".bak")) + f" /mnt{tmp_path / 'ann'}"
    recorder(path, f"In {others} and {tmp_path / 'ann'}.").generate(question)

    assert str(tmp_path / "ann" / "project") not in path.read_text()
    question = at("bob", "work")
    assert replayer(path).generate(question) == f"In {others} and ~."


def test_the_root_is_no_place_to_hide(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir("/")

    recorder(path, "See / and /usr/bin.").generate(QUESTION)

    assert replayer(path).generate(QUESTION) == "See / and /usr/bin."


# The file

EXCHANGE = '{"format": "mojentic_nb recording", "version": 1, "exchanges": [{"request": %s}]}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "it isn't JSON"),
        (b"\xff\xfe", "it isn't JSON"),
        ("[]", "a part of it has another form"),
        ('{"model": "a"}', "it has no `format`"),
        ('{"format": "mojentic_nb recording", "version": 1}', "it has no `exchanges`"),
        ('{"format": "mojentic_nb recording", "version": 1, "exchanges": [1]}', "a part of it has another form"),
        (EXCHANGE % '{"no": "model"}, "answer": [], "ms": []', "it has no `model`"),
        (EXCHANGE % f'1, "answer": {"[" * 500 + "]" * 500}', "its JSON is nested too deep"),
        (EXCHANGE % f'1, "answer": {"[" * 100_000 + "]" * 100_000}', "its JSON is nested too deep"),
        ('{"format": "har", "version": 1, "exchanges": []}', "its format is 'har'"),
    ],
)
@pytest.mark.parametrize("make", [ReplayGateway, lambda path: RecordingGateway(ScriptedGateway([]), path)])
def test_a_file_that_is_no_recording(path: Path, content: str, words: str, make):
    path.parent.mkdir()
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(data)

    with pytest.raises(ConfigurationError, match=f"isn't a recording .*{words}.*. Check the path.$") as failure:
        make(path)

    assert "\n" not in str(failure.value)
    assert path.read_bytes() == data


def test_a_recording_of_another_version(path: Path):
    path.parent.mkdir()
    path.write_text('{"format": "mojentic_nb recording", "version": 2, "exchanges": []}')

    with pytest.raises(ConfigurationError, match="has version 2, but this program reads version 1. Record it again"):
        ReplayGateway(path)


@pytest.mark.parametrize("make", [ReplayGateway, lambda path: RecordingGateway(ScriptedGateway([]), path)])
def test_what_is_no_file_is_refused_at_once(path: Path, make):
    """Reading a pipe would wait for a writer, and a device may have no end."""
    path.parent.mkdir()
    os.mkfifo(path)

    for place in (path, Path("/dev/zero"), path.parent):
        with pytest.raises(
            ConfigurationError,
            match=r"Can't read the recording .* \((It isn't a file|Is a directory)\)\. Check its path",
        ):
            make(place)


def test_an_answer_that_is_nested_too_deep_to_be_recorded(path: Path):
    deep: list = []
    for _ in range(600):
        deep = [deep]
    made = LLMToolCall(id="a", name="weather", arguments={"city": deep})

    with pytest.raises(ConfigurationError, match="nested too deeply to be recorded"):
        recorder(path, [ToolCallEnd(made), StepFinish("tool_calls")]).generate(QUESTION)
    assert not path.exists()


def test_a_file_that_is_not_there_or_cannot_be_written(path: Path, tmp_path: Path):
    with pytest.raises(
        ConfigurationError, match=r"\(No such file or directory\)\. Check its path, or record it with a Recording"
    ):
        ReplayGateway(path)
    (tmp_path / "recordings").write_text("a file in the way")

    with pytest.raises(ConfigurationError, match="Can't write the recording") as failure:
        recorder(path, "One two.").generate(QUESTION)
    assert failure.value.partial.content == "One two."


def test_a_file_that_cannot_be_replaced_leaves_nothing_beside_it(path: Path):
    path.mkdir(parents=True)
    asking = recorder(path.with_name("other.json"), "One two.")
    asking.adapter.path = path

    with pytest.raises(ConfigurationError, match="Can't read the"):
        asking.generate(QUESTION)
    with pytest.raises(IsADirectoryError):
        save(path, [])

    assert list(path.parent.iterdir()) == [path]


def test_the_file_stays_where_it_was_when_the_program_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    asking = recorder(Path("runs.json"), "One.")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    asking.generate(QUESTION)

    assert replayer(tmp_path / "runs.json").generate(QUESTION) == "One."


def test_the_home_folder_has_its_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    recorder(Path("~/runs.json"), "One.").generate(QUESTION)

    assert (tmp_path / "runs.json").exists()
    assert replayer(Path("~/runs.json")).generate(QUESTION) == "One."


def test_half_a_character_is_no_obstacle(path: Path):
    recorder(path, "Half: \ud83d").generate(QUESTION)

    assert replayer(path).generate(QUESTION) == "Half: \ud83d"


def test_a_reader_of_the_file_never_sees_half_of_it(path: Path):
    recorder(path, "Yes.").generate(QUESTION)

    with path.open() as before:
        recorder(path, "No.").generate(QUESTION)
        assert "Yes." in before.read()

    assert replayer(path).generate(QUESTION) == "No."


def test_a_file_that_a_formatter_has_put_in_order(path: Path):
    recorder(path, "Yes.").generate(QUESTION, [Weather()], temperature=0)

    path.write_text(json.dumps(content_of(path), sort_keys=True, indent=4))

    assert replayer(path).generate(QUESTION, [Weather()], temperature=0) == "Yes."


def test_others_may_read_the_file(path: Path):
    recorder(path, "One.").generate(QUESTION)
    path.with_name("usual").touch()

    assert path.stat().st_mode == path.with_name("usual").stat().st_mode


def test_a_speed_that_is_none(path: Path):
    with pytest.raises(ConfigurationError, match=r"speed must be more than 0, .* not 0\.$"):
        ReplayGateway(path, speed=0)


def test_nothing_but_the_recording_is_left_in_its_folder(path: Path):
    recorder(path, "One.").generate(QUESTION)

    assert list(path.parent.iterdir()) == [path]
    assert repr(recorder(path).adapter).startswith("RecordingGateway(<")
    assert repr(replayer(path).adapter) == f"ReplayGateway({str(path)!r})"


# As users have it


@pytest.mark.parametrize("how", BOTH)
def test_record_or_replay(path: Path, how: str, server: Loopback, monkeypatch: pytest.MonkeyPatch):
    """The first time the model is asked, from there on neither it nor a key is needed."""
    server.play(Reply([PROVIDERS["chat"].answer("Sunny.")]))
    monkeypatch.setenv("HOME", str(path.parent))

    first = record_or_replay(lambda: OpenAIGateway(KEY, f"{server.url}/v1"), "~/runs.json", secrets=["Rome"])
    assert text_of(LLMBroker("a-model", first), how) == "Sunny."
    second = record_or_replay(OpenAIGateway, "~/runs.json", secrets=["Rome"])
    assert text_of(LLMBroker("a-model", second), how) == "Sunny."

    assert "Rome" not in path.read_text()

    assert (type(first), type(second)) == (RecordingGateway, ReplayGateway)
    assert len(server.requests) == 1


def test_a_gateway_that_has_nothing_to_close(path: Path):
    asking = recorder(path, "One.").adapter

    asking.close()
    asyncio.run(asking.aclose())


def test_a_model_by_the_name_of_its_recording(path: Path):
    recorder(path, "Sunny.").generate(QUESTION)

    broker = broker_for(f"replay:{path}")

    assert (broker.model, broker.generate(QUESTION)) == ("a-model", "Sunny.")
    recorder(path, "Rainy.").generate(QUESTION, model="another")
    with pytest.raises(ConfigurationError, match=r"has 2 models \(a-model, another\)\. Name one, as in LLMBroker"):
        broker_for(f"replay:{path}")
    with pytest.raises(ConfigurationError, match="'replay:' has no path. Write `replay:PATH`"):
        broker_for("replay:")


@pytest.mark.parametrize("how", BOTH)
def test_a_conversation_replays(path: Path, how: str):
    def talk(broker: LLMBroker) -> list:
        chat = ChatSession(broker, tools=[Weather()])
        for question in ("Is it sunny?", "And now?"):
            asyncio.run(chat.asend(question)) if how == "async" else chat.send(question)
        return [(message.role, message.content, message.thinking) for message in chat.messages]

    recorded = talk(recorder(path, calling(), "Sunny in both.", calling("toolu_2", "Oslo"), "Still."))

    replay = replayer(path)
    assert talk(replay) == talk(replay) == recorded


def test_a_refusal_over_a_wire(path: Path, server: Loopback):
    provider = PROVIDERS["chat"]
    server.play(json_reply(provider.refuses(f"Your key {KEY} is weary", "server_error"), 500))
    gateway = RecordingGateway(provider.gateway(server.url), path)
    with pytest.raises(ProviderUnavailableError) as live:
        LLMBroker("a-model", gateway, max_retries=0).generate(QUESTION)

    with pytest.raises(ProviderUnavailableError) as replayed:
        LLMBroker("a-model", ReplayGateway(path), max_retries=0).generate(QUESTION)

    assert str(replayed.value) == str(live.value)
    assert replayed.value.transient
