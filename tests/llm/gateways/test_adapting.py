"""A request that a model refuses is sent again without what it refused, and later requests are sent without at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from driving import BOTH, begin, events_of
from events import text_of
from loopback import Loopback, Reply, completion, json_reply
from providers_on_wire import KEY, PROVIDERS, Provider
from pydantic import BaseModel

from mojentic_nb.llm import LLMBroker, LLMMessage, MessageRole, Notice, OmissionWarning, Retry
from mojentic_nb.llm.errors import BadRequestError
from mojentic_nb.llm.gateways import AnthropicGateway, OpenAIGateway

PIXEL = "data:image/png;base64,iVBORw0KGgo="
QUESTION = [LLMMessage(content="What is this?")]
FIGURES = [
    LLMMessage(content="Compare these.", image_paths=[PIXEL, PIXEL]),
    LLMMessage(role=MessageRole.Assistant, content="They are alike."),
    LLMMessage(content="And this?", image_paths=[PIXEL]),
]
LEFT_OUT = Notice("3 images were left out: a-model reads text only.")


def refuses(message: str, status: int = 400) -> Reply:
    return json_reply({"error": {"message": message}}, status)


# the two names of the limit of tokens

WANTS_THE_NEW_NAME = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
)
WANTS_THE_OLD_NAME = {
    "Azure, of old": refuses("Unrecognized request argument supplied: max_completion_tokens"),
    "Mistral": json_reply(
        {"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "Extra inputs are not permitted"}]}, 422
    ),
    "a schema": refuses("Additional properties are not allowed ('max_completion_tokens' was unexpected)"),
}


def limits(server: Loopback) -> list[dict]:
    names = ("max_tokens", "max_completion_tokens")
    return [{name: request.body[name] for name in names if name in request.body} for request in server.requests]


@pytest.mark.parametrize("how", BOTH)
def test_a_server_gets_the_limit_by_its_new_name(server: Loopback, how: str):
    """It gets it on the second try, and from then on at once."""
    server.play(refuses(WANTS_THE_NEW_NAME), *[Reply([completion("Hello")])] * 2)
    asking = LLMBroker("a-model", OpenAIGateway(KEY, server.url))

    answers = [text_of(events_of(begin(asking, how, QUESTION, max_tokens=9))) for _ in range(2)]

    assert answers == ["Hello", "Hello"]
    assert limits(server) == [{"max_tokens": 9}, *[{"max_completion_tokens": 9}] * 2]


@pytest.mark.parametrize("refusal", WANTS_THE_OLD_NAME.values(), ids=WANTS_THE_OLD_NAME.keys())
def test_a_server_gets_the_limit_by_its_old_name(server: Loopback, refusal: Reply):
    """A deployment at Azure gets the new name first."""
    server.play(refusal, *[Reply([completion("Hello")])] * 2)
    gateway = OpenAIGateway(KEY, server.url)
    gateway._is_openai = True  # what its address says
    asking = LLMBroker("a-model", gateway)

    answers = [asking.generate(QUESTION, max_tokens=9) for _ in range(2)]

    assert answers == ["Hello", "Hello"]
    assert limits(server) == [{"max_completion_tokens": 9}, *[{"max_tokens": 9}] * 2]


def test_another_model_gets_the_limit_by_its_usual_name(server: Loopback):
    server.play(refuses(WANTS_THE_NEW_NAME), *[Reply([completion("Hello")])] * 2)
    asking = LLMBroker("a-model", OpenAIGateway(KEY, server.url))

    asking.generate(QUESTION, max_tokens=9)
    asking.generate(QUESTION, max_tokens=9, model="another")

    assert limits(server)[-1] == {"max_tokens": 9}


def test_a_server_that_knows_neither_name(server: Loopback):
    """Without the limit the request would mean another thing, so that is an error."""
    server.play(refuses(WANTS_THE_NEW_NAME), WANTS_THE_OLD_NAME["Azure, of old"])

    with pytest.raises(BadRequestError, match="Unrecognized"):
        LLMBroker("a-model", OpenAIGateway(KEY, server.url)).generate(QUESTION, max_tokens=9)

    assert len(server.requests) == 2


def test_a_limit_that_is_too_high_is_an_error(server: Loopback):
    server.play(refuses("max_tokens is too large: 9. This model supports at most 8 completion tokens."))

    with pytest.raises(BadRequestError, match="too large"):
        LLMBroker("a-model", OpenAIGateway(KEY, server.url)).generate(QUESTION, max_tokens=9)


# images

REFUSALS = {
    "OpenAI": refuses("Invalid content type. image_url is only supported by certain models."),
    "OpenRouter": refuses("No endpoints found that support image input", 404),
    "DeepSeek": refuses("Failed to deserialize: messages[0]: unknown variant `image_url`, expected `text` at line 1"),
    "DeepSeek, of old": refuses(
        "messages[1]: data did not match any variant of untagged enum ChatCompletionRequestContent", 422
    ),
    "Mistral": refuses("Image input is not enabled for this model"),
    "Gemini": refuses("Image input modality is not enabled for models/gemma"),
    "xAI": refuses("Image inputs are not supported by this model."),
    "vLLM": refuses("/models/qwen3 is not a multimodal model"),
    "vLLM, by number": refuses("At most 0 image(s) may be provided in one prompt."),
    "llama.cpp": refuses("image input is not supported - hint: you may need to provide the mmproj", 500),
    "llama.cpp, of old": refuses('Failed to parse messages: Unsupported content part type: "image_url"', 500),
    "Groq": refuses("messages[0].content must be a string"),
    "LM Studio": refuses("Model does not support images. Please use a model that does."),
    "Bedrock": refuses("This model doesn't support the image field for user messages. Remove image and try again."),
    "Ollama's cloud": refuses("this model does not support image input (ref: b8bd630e)"),
    "Ollama's engine": refuses("failed to process inputs: this model is missing data required for image input", 500),
}


def asked(server: Loopback, gateway: object, how: str, times: int = 1) -> list[list]:
    """The events of that many questions with figures, to a server that refuses the first one."""
    broker = LLMBroker("a-model", gateway)
    return [events_of(begin(broker, how, FIGURES)) for _ in range(times)]


def images_sent(server: Loopback) -> list[int]:
    """How many images each request had."""
    return [json.dumps(request.body).count("iVBORw0KGgo=") for request in server.requests]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_images_are_left_out_for_a_model_that_reads_none(server: Loopback, refusal: Reply, how: str):
    """That is no failure that is worth a pause: there is one notice for each answer, and no retry."""
    server.play(refusal, *[Reply([completion("Hello")])] * 2)

    answers = asked(server, OpenAIGateway(KEY, server.url), how, times=2)

    assert images_sent(server) == [3, 0, 0]
    for events in answers:
        assert [event for event in events if isinstance(event, Notice | Retry)] == [LEFT_OUT]
        assert events[0] == LEFT_OUT
        assert text_of(events) == "Hello"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_images_are_left_out_at_every_provider(server: Loopback, provider: Provider, status: int, how: str):
    said = provider.refuses("this model does not support image input", "invalid_request_error")
    server.play(json_reply(said, status), Reply([provider.answer("Hello")]))

    [events] = asked(server, provider.gateway(server.url), how)

    assert images_sent(server) == [3, 0]
    assert events[0] == LEFT_OUT
    assert text_of(events) == "Hello"


@pytest.mark.parametrize(
    "words",
    [
        "external image URLs are not supported",
        "Unsupported image format",
        "image exceeds 5 MB maximum",
        "This model does not support images larger than 8000 pixels",
        "Unable to process input image",
    ],
)
def test_an_image_that_is_refused_for_another_reason(server: Loopback, words: str):
    server.play(refuses(words))

    with pytest.raises(BadRequestError, match=words):
        asked(server, OpenAIGateway(KEY, server.url), "sync")

    assert len(server.requests) == 1


def test_a_refusal_of_images_where_there_are_none(server: Loopback):
    server.play(refuses("messages[0].content must be a string"))

    with pytest.raises(BadRequestError, match="must be a string"):
        LLMBroker("a-model", OpenAIGateway(KEY, server.url)).generate(QUESTION)

    assert len(server.requests) == 1


def test_another_model_gets_the_images(server: Loopback):
    server.play(REFUSALS["OpenAI"], *[Reply([completion("Hello")])] * 2)
    broker = LLMBroker("a-model", OpenAIGateway(KEY, server.url))

    events_of(broker.stream(FIGURES))
    events = events_of(broker.stream(FIGURES, model="another"))

    assert images_sent(server) == [3, 0, 3]
    assert not any(isinstance(event, Notice) for event in events)


def test_a_message_with_nothing_but_an_image_says_that_there_was_one(server: Loopback):
    server.play(REFUSALS["OpenAI"], Reply([completion("Hello")]))

    events = events_of(LLMBroker("a-model", OpenAIGateway(KEY, server.url)).stream([LLMMessage(image_paths=[PIXEL])]))

    assert events[0] == Notice("1 image was left out: a-model reads text only.")
    assert server.requests[-1].body["messages"] == [{"role": "user", "content": "(an image)"}]


@pytest.mark.parametrize("how", BOTH)
def test_there_is_one_notice_in_all_rounds_of_tools(server: Loopback, how: str):
    def sky() -> str:
        """The colour of the sky."""
        return "grey"

    provider = PROVIDERS["anthropic"]
    refusal = json_reply(provider.refuses("this model does not support image input", "api_error"), 500)
    server.play(refusal, *[Reply([provider.call()])] * 2, Reply([provider.answer("Hello")]))
    broker = LLMBroker("a-model", AnthropicGateway(KEY, server.url))

    events = events_of(begin(broker, how, FIGURES, [sky]))

    assert images_sent(server) == [3, 0, 0, 0]
    assert [event for event in events if isinstance(event, Notice)] == [LEFT_OUT]


def test_a_setting_and_images_are_both_left_out(server: Loopback):
    server.play(
        REFUSALS["OpenAI"],
        refuses("Unsupported value: 'temperature' does not support 0.5 with this model."),
        Reply([completion("Hello")]),
    )
    broker = LLMBroker("a-model", OpenAIGateway(KEY, server.url))

    events = events_of(broker.stream(FIGURES, temperature=0.5))

    left_out = [event.text for event in events if isinstance(event, Notice)]
    assert left_out == [LEFT_OUT.text, "`temperature` was left out: 'a-model' doesn't support it."]


@pytest.mark.parametrize("how", BOTH)
def test_a_notice_does_not_keep_a_request_from_being_retried(server: Loopback, how: str):
    busy = Reply(status=503, headers={"retry-after-ms": "1"})
    server.play(REFUSALS["OpenAI"], busy, Reply([completion("Hello")]))

    [events] = asked(server, OpenAIGateway(KEY, server.url), how)

    assert [type(event) for event in events[:2]] == [Notice, Retry]
    assert [event for event in events if isinstance(event, Notice)] == [LEFT_OUT]
    assert text_of(events) == "Hello"


# readers who see the text alone


class Answer(BaseModel):
    alike: bool


WAYS = {
    "generate": lambda broker: broker.generate(FIGURES),
    "generate_stream": lambda broker: list(broker.generate_stream(FIGURES)),
    "agenerate": lambda broker: asyncio.run(broker.agenerate(FIGURES)),
    "generate_object": lambda broker: broker.generate_object(FIGURES, Answer),
    "agenerate_object": lambda broker: asyncio.run(broker.agenerate_object(FIGURES, Answer)),
    "stream_object": lambda broker: list(broker.stream_object(FIGURES, Answer)),
    "complete": lambda broker: broker.adapter.complete("a-model", FIGURES),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_readers_of_the_text_alone_are_warned(server: Loopback, way: Callable):
    server.play(REFUSALS["OpenAI"], Reply([completion('{"alike": true}')]))

    with pytest.warns(OmissionWarning) as warned:
        way(LLMBroker("a-model", OpenAIGateway(KEY, server.url)))

    assert [str(each.message) for each in warned] == [LEFT_OUT.text]
