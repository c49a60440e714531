"""OpenAI, and every server that speaks its Chat Completions API (vLLM, llama.cpp, LM Studio, OpenRouter, Ollama, …).

What some of OpenAI's own models can't do. A model that is not named here is taken to be able.

https://platform.openai.com/docs/models. Never asked about another server's models, whatever they are called.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.request import Request

from .failures import checked_list
from .http import SDKGateway, amend, checked_address, checked_key, http_clients
from .keys import NO_KEY, STAND_IN, Key, ambient_headers
from .transport import Timeout
from .wire import chat_completions, responses
from .wire.decoding import Decoder

if TYPE_CHECKING:
    import openai

__all__ = ["OpenAIGateway", "needs_responses"]

# The name, without the date that may follow it.
NO_STREAM = re.compile(r"(o1|o3|gpt-5(\.\d+)?)-pro")
ONLY_RESPONSES = re.compile(
    rf"{NO_STREAM.pattern}|gpt-5(\.\d+)?-codex(-\w+)*|codex-mini-latest|o[34](-mini)?-deep-research"
)
DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def can_stream(model: str) -> bool:
    """Whether `model` can stream its answer."""
    return not NO_STREAM.fullmatch(DATE.sub("", model))


def needs_responses(model: str) -> bool:
    """Whether `model` is to be had by the Responses API alone."""
    return bool(ONLY_RESPONSES.fullmatch(DATE.sub("", model)))


OPENAI = "api.openai.com"
ORGANIZATION = ("OpenAI-Organization", "OpenAI-Project")  # headers that the SDK fills from the environment
AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
# Of the limit of tokens. OpenAI's reasoning models refuse the first, many other servers the second.
LIMIT_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
EMBEDDING_MODEL = "text-embedding-3-small"


class OpenAIGateway(SDKGateway):
    """The way to OpenAI, or with `base_url` to a compatible server.

    Without `api_key` the environment's ``OPENAI_API_KEY`` counts, and without `base_url` its ``OPENAI_BASE_URL``, or
    else ``OPENAI_API_ENDPOINT``, which is Mojentic's name for it; a server of one's own may need no key. With both,
    nothing that the environment has for OpenAI is sent. A `client` made with the SDK (``openai.AzureOpenAI(…)``, say,
    or an asynchronous one) is used as it is, and `api_key`, `base_url` and `timeout` are not looked at; a cancelled
    request then ends once its response has begun.

    `api` is OpenAI's API to use: *chat*, which all servers speak, or *responses*; None takes *chat* but for the models
    of OpenAI that know only the other. `timeout` is in seconds. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError` for a missing key, and a key or an address that can't be one.
    """

    _key_name = "OPENAI_API_KEY"
    _other_names = LIMIT_NAMES

    def __init__(
        self,
        api_key: str | Key | None = None,
        base_url: str | None = None,
        *,
        client: openai.OpenAI | openai.AsyncOpenAI | None = None,
        api: Literal["chat", "responses"] | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 (frozen)
        trust_env: bool = True,
    ) -> None:
        import openai

        api_key = Key.of(api_key)  # before anything can fail, and show it
        self._api = api
        key = None
        if isinstance(client, openai.AsyncOpenAI):
            clients: tuple[Any, Any] = None, client
        elif client:
            clients = client, None
        else:
            key, clients = make_clients(api_key, base_url, trust_env=trust_env)
        super().__init__(openai, clients, own=client is None, key=key, timeout=timeout, trust_env=trust_env)
        self._is_openai = self._host == OPENAI or self._host.endswith(f".{OPENAI}")  # a region's is eu.api.openai.com

    def can_stream(self, model: str) -> bool:
        """Whether `model` can stream; what is not known to be unable is taken to be able."""
        return not self._is_openai or can_stream(model)

    def get_available_models(self) -> list[str]:
        """The names of the models that the server offers."""
        try:
            with checked_list(self._host, self._key), self._asking() as client:
                models = client.get("/models", cast_to=object)
                # Together's list has nothing around it.
                return [model["id"] for model in (models["data"] if isinstance(models, dict) else models)]
        except LLMError as error:
            raise self._key.clean(error)  # noqa: B904 (its cause is kept)

    def calculate_embeddings(self, text: str, model: str = EMBEDDING_MODEL) -> list[float]:
        """The embedding of `text` by `model`: a vector whose length is the model's."""
        with self._asking(model) as client:
            embedding: list[float] = client.embeddings.create(input=text, model=model).data[0].embedding
            return embedding

    def _speaks_responses(self, model: str) -> bool:
        if self._api is None:
            return self._is_openai and needs_responses(model)
        return self._api == "responses"

    def _endpoint(self, client: Any, request: Request) -> Callable[..., Any]:  # noqa: ANN401 (the SDK's)
        api = client.responses if self._speaks_responses(request.model) else client.chat.completions
        create: Callable[..., Any] = api.with_streaming_response.create
        return create

    def _encode(self, request: Request) -> dict[str, Any]:
        stream = self.can_stream(request.model)
        if self._speaks_responses(request.model):
            return {**responses.encode(request), "stream": stream}
        body = chat_completions.encode(request)
        if self._is_openai or self._host.endswith(AZURE):
            amend(body, "max_tokens", "max_completion_tokens")  # all of OpenAI's models know it
        return body

    def _decoder(self, request: Request) -> Decoder:
        if self._speaks_responses(request.model):
            return responses.ResponsesDecoder(len(request.messages), request.tally)
        return chat_completions.ChatDecoder(len(request.messages), request.tally)


def make_clients(
    api_key: Key | None, base_url: str | None, *, trust_env: bool
) -> tuple[Key, tuple[openai.OpenAI, openai.AsyncOpenAI]]:
    """The key, and the SDK's clients; a server other than OpenAI's gets a stand-in where there is no key.

    With a key and an address, the organization, project and headers that the environment has for OpenAI aren't sent.
    """
    import openai

    headers = (api_key and base_url and ambient_headers(openai, "OPENAI_CUSTOM_HEADERS", *ORGANIZATION)) or None
    for name in ("OPENAI_BASE_URL", "OPENAI_API_ENDPOINT"):  # the latter is Mojentic's
        base_url = checked_address(base_url or os.environ.get(name) or None, name=name)
    key = checked_key(api_key, name="OPENAI_API_KEY", otherwise=NO_KEY if base_url else "")
    http, ahttp = http_clients(openai, trust_env=trust_env)
    return key, (
        openai.OpenAI(api_key=STAND_IN, base_url=base_url, http_client=http, default_headers=headers),
        openai.AsyncOpenAI(api_key=STAND_IN, base_url=base_url, http_client=ahttp, default_headers=headers),
    )
