"""Anthropic's Claude. Needs the extra ``anthropic``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mojentic_nb.llm.compat import MojenticCalls
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.request import Request

from .http import SDKGateway
from .keys import Key
from .transport import Timeout
from .wire import anthropic_messages
from .wire.decoding import Decoder

if TYPE_CHECKING:
    import anthropic

__all__ = ["AnthropicGateway"]


class AnthropicGateway(SDKGateway, MojenticCalls):
    """A gateway to Anthropic's models.

    `api_key` and `base_url` default to the environment's ``ANTHROPIC_API_KEY`` and ``ANTHROPIC_BASE_URL``. If you pass
    both, nothing that the environment has for Anthropic is sent. A `client` of the SDK (such as
    ``anthropic.AnthropicVertex(…)``, but not ``AnthropicBedrock``, whose streams are binary) is used as it is, as with
    :class:`~mojentic_nb.llm.gateways.OpenAIGateway`. `timeout` is in seconds. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError` for a missing extra or key.

    A request without a token limit gets one of 8,192 on top of its budget for thinking.
    """

    _provider = "Anthropic"
    _classes = "Anthropic", "AsyncAnthropic"
    _addresses = ("ANTHROPIC_BASE_URL",)

    def __init__(
        self,
        api_key: str | Key | None = None,
        base_url: str | None = None,
        *,
        client: anthropic.Anthropic | anthropic.AsyncAnthropic | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 (frozen)
    ) -> None:
        if find_spec("anthropic") is None:
            raise ConfigurationError("Anthropic's models need its SDK. Run `pip install 'mojentic_nb[anthropic]'`.")
        import anthropic

        api_key = Key.of(api_key)  # before anything can fail, and show it
        super().__init__(anthropic, client, api_key, base_url, timeout)

    def get_available_models(self) -> list[str]:
        """Return the names of the models that Anthropic offers."""
        return self._list(lambda client: [model.id for model in client.models.list()])

    def _endpoint(self, client: Any, model: str) -> Any:  # noqa: ANN401, ARG002 (the SDK's)
        return client.messages

    def _encode(self, request: Request) -> dict[str, Any]:
        return anthropic_messages.encode(request)

    def _decoder(self, request: Request) -> Decoder:
        return anthropic_messages.MessagesDecoder(request)
