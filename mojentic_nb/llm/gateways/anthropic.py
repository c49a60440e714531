"""Anthropic's Claude. Needs the extra ``anthropic``."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mojentic_nb.llm.errors import ConfigurationError, LLMError
from mojentic_nb.llm.request import Request

from .failures import checked_list
from .http import SDKGateway, checked_address, checked_key, http_clients
from .keys import STAND_IN, Key, ambient_headers
from .transport import Timeout
from .wire import anthropic_messages
from .wire.decoding import Decoder

if TYPE_CHECKING:
    import anthropic

__all__ = ["AnthropicGateway"]

MISSING_EXTRA = "Anthropic's models need its SDK: pip install 'mojentic_nb[anthropic]'"


class AnthropicGateway(SDKGateway):
    """The way to Anthropic's models.

    Without `api_key` and `base_url` the environment's ``ANTHROPIC_API_KEY`` and ``ANTHROPIC_BASE_URL`` count; with
    both, nothing that the environment has for Anthropic is sent. A
    `client` made with the SDK (``anthropic.AnthropicVertex(…)``, say; not ``AnthropicBedrock``, whose streams are
    binary) is used as it is, as with :class:`~mojentic_nb.llm.gateways.OpenAIGateway`. `timeout` is in seconds. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError` for a missing extra or key.

    A request without a limit of tokens gets one of 8,192 on top of what its thinking may take.
    """

    _key_name = "ANTHROPIC_API_KEY"

    def __init__(
        self,
        api_key: str | Key | None = None,
        base_url: str | None = None,
        *,
        client: anthropic.Anthropic | anthropic.AsyncAnthropic | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 (frozen)
    ) -> None:
        if find_spec("anthropic") is None:
            raise ConfigurationError(MISSING_EXTRA)
        import anthropic

        api_key, key = Key.of(api_key), None  # before anything can fail, and show it
        if hasattr(client, "__aenter__"):  # the clients of clouds have no class in common
            clients: tuple[Any, Any] = None, client
        elif client:
            clients = client, None
        else:
            key, clients = make_clients(api_key, base_url)
        super().__init__(anthropic, clients, own=client is None, key=key, timeout=timeout)

    def get_available_models(self) -> list[str]:
        """The names of the models that Anthropic offers."""
        try:
            with checked_list(self._host, self._key), self._asking() as client:
                return [model.id for model in client.models.list()]
        except LLMError as error:
            raise self._key.clean(error)  # noqa: B904 (its cause is kept)

    def _endpoint(self, client: Any, request: Request) -> Callable[..., Any]:  # noqa: ANN401, ARG002 (the SDK's)
        create: Callable[..., Any] = client.messages.with_streaming_response.create
        return create

    def _encode(self, request: Request) -> dict[str, Any]:
        return anthropic_messages.encode(request)

    def _decoder(self, request: Request) -> Decoder:
        return anthropic_messages.MessagesDecoder(request)


def make_clients(
    api_key: Key | None, base_url: str | None
) -> tuple[Key, tuple[anthropic.Anthropic, anthropic.AsyncAnthropic]]:
    """The key, and the SDK's clients. With a key and an address, headers that the environment has aren't sent."""
    import anthropic

    headers = (api_key and base_url and ambient_headers(anthropic, "ANTHROPIC_CUSTOM_HEADERS")) or None
    address = checked_address(base_url or os.environ.get("ANTHROPIC_BASE_URL") or None, name="ANTHROPIC_BASE_URL")
    key = checked_key(api_key, name="ANTHROPIC_API_KEY")
    http, ahttp = http_clients(anthropic, key)
    return key, (
        anthropic.Anthropic(api_key=STAND_IN, base_url=address, http_client=http, default_headers=headers),
        anthropic.AsyncAnthropic(api_key=STAND_IN, base_url=address, http_client=ahttp, default_headers=headers),
    )
