"""OpenAI, and every server that speaks its Chat Completions API (vLLM, llama.cpp, LM Studio, OpenRouter, Ollama, …)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mojentic_nb.llm.compat import MojenticCalls
from mojentic_nb.llm.request import Request

from .http import SDKGateway, amend
from .keys import Key
from .transport import Timeout
from .wire import chat_completions, responses
from .wire.decoding import Decoder

if TYPE_CHECKING:
    import openai

__all__ = ["OpenAIGateway", "needs_responses"]

# OpenAI's own models that can't stream, and those that only know the Responses API, by their names without a date. Not
# for another server's models, whatever their names. https://platform.openai.com/docs/models
NO_STREAM = re.compile(r"(o1|o3|gpt-5(\.\d+)?)-pro")
ONLY_RESPONSES = re.compile(
    rf"{NO_STREAM.pattern}|gpt-5(\.\d+)?-codex(-\w+)*|codex-mini-latest|o[34](-mini)?-deep-research"
)
DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def needs_responses(model: str) -> bool:
    """Return whether only the Responses API serves OpenAI's `model`."""
    return bool(ONLY_RESPONSES.fullmatch(DATE.sub("", model)))


OPENAI = "api.openai.com"
AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
EMBEDDING_MODEL = "text-embedding-3-small"


class OpenAIGateway(SDKGateway, MojenticCalls):
    """A gateway to OpenAI, or with `base_url` to a compatible server.

    `api_key` defaults to the environment's ``OPENAI_API_KEY``, and `base_url` to its ``OPENAI_BASE_URL`` or
    ``OPENAI_API_ENDPOINT``, which is Mojentic's name for it. A compatible server may need no key. If you pass both,
    nothing that the environment has for OpenAI is sent. A `client` of the SDK (such as ``openai.AzureOpenAI(…)``, or an
    asynchronous one) is used as it is; `api_key`, `base_url` and `timeout` are ignored then, and a cancelled request
    ends once its response has begun.

    `api` is the API to use: *chat*, which all servers speak, or *responses*. None uses *chat*, except for OpenAI's
    models that only know the other. `timeout` is in seconds. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError` for a missing or unusable key or address.
    """

    _provider = "OpenAI"
    _classes = "OpenAI", "AsyncOpenAI"
    _addresses = "OPENAI_BASE_URL", "OPENAI_API_ENDPOINT"
    _keyless = True
    _ambient = "OpenAI-Organization", "OpenAI-Project"
    # Of the token limit. OpenAI's reasoning models refuse the first name, many other servers the second.
    _other_names: ClassVar = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

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
        super().__init__(openai, client, api_key, base_url, timeout, trust_env=trust_env)
        self._api = api
        host = self._server.host
        self._is_openai = host == OPENAI or host.endswith(f".{OPENAI}")  # a region's is eu.api.openai.com

    def can_stream(self, model: str) -> bool:
        """Return whether `model` can stream, as far as is known."""
        return not (self._is_openai and NO_STREAM.fullmatch(DATE.sub("", model)))

    def get_available_models(self) -> list[str]:
        """Return the names of the models that the server offers."""

        def read(client: Any) -> list[str]:  # noqa: ANN401 (the SDK's)
            models = client.get("/models", cast_to=object)
            # Together's list has nothing around it.
            return [model["id"] for model in (models["data"] if isinstance(models, dict) else models)]

        return self._list(read)

    def calculate_embeddings(self, text: str, model: str = EMBEDDING_MODEL) -> list[float]:
        """Return the embedding of `text` by `model`, a vector of the model's own length."""
        with self._asking(model) as client:
            embedding: list[float] = client.embeddings.create(input=text, model=model).data[0].embedding
            return embedding

    def _speaks_responses(self, model: str) -> bool:
        if self._api is None:
            return self._is_openai and needs_responses(model)
        return self._api == "responses"

    def _endpoint(self, client: Any, model: str) -> Any:  # noqa: ANN401 (the SDK's)
        return client.responses if self._speaks_responses(model) else client.chat.completions

    def _encode(self, request: Request) -> dict[str, Any]:
        stream = self.can_stream(request.model)
        if self._speaks_responses(request.model):
            return {**responses.encode(request), "stream": stream}
        body = chat_completions.encode(request)
        if self._is_openai or self._server.host.endswith(AZURE):
            amend(body, "max_tokens", "max_completion_tokens")  # all of OpenAI's models know it
        return body

    def _decoder(self, request: Request) -> Decoder:
        if self._speaks_responses(request.model):
            return responses.ResponsesDecoder(len(request.messages), request.tally)
        return chat_completions.ChatDecoder(len(request.messages), request.tally)
