"""The gateway to llama.cpp's server in the model's process."""

from __future__ import annotations

import warnings
from typing import Any

from mojentic_nb.llm.gateways.openai import OpenAIGateway
from mojentic_nb.llm.gateways.wire.decoding import Decoder
from mojentic_nb.llm.messages import MessageRole
from mojentic_nb.llm.request import Request, chosen, tool_name

from .process import ModelProcess
from .tools import CallDecoder, ChoiceDecoder, answer_request, call_request, callable_tools, plain_request

__all__ = ["ServerGateway"]

# For JSON under a schema, and an answer from a tool's result. Both repeat what was said before, and a penalty on
# repetition makes a small model invent something else.
PRECISE = {"temperature": 0, "repeat_penalty": 1.0}


class ServerGateway(OpenAIGateway):
    """The way to the model in `process`.

    A call that has to come is constrained to the tool's schema, for llama.cpp itself lets a model answer without. Else
    a model whose chat template knows tools is asked as any other, and one whose template doesn't is asked in words that
    it understands (:mod:`.tools`), and answers without a call.
    """

    def __init__(self, process: ModelProcess) -> None:
        # A proxy that the environment names is not for this machine's own loopback interface. The model may take as
        # long as it likes: if its process ends, so does the connection.
        super().__init__(process.api_key, f"{process.url}/v1", timeout=None, trust_env=False)
        with self._asking() as client:
            properties: Any = client.get(f"{process.url}/props", cast_to=object)
        self._knows_tools = bool(properties["chat_template_caps"]["supports_tools"])
        self._reads_images = bool(properties["modalities"]["vision"])
        self._warned = False

    def sees(self, model: str) -> bool:
        """Return whether the model reads images."""
        return self._reads_images and super().sees(model)

    def _encode(self, request: Request) -> dict[str, Any]:
        if tools := callable_tools(request):
            return PRECISE | super()._encode(call_request(request, tools))
        if self._knows_tools:
            return super()._encode(request)
        if request.messages and request.messages[-1].role is MessageRole.Tool:
            return PRECISE | super()._encode(answer_request(request))
        if request.tools and chosen(request) != "none":
            self._warn(request.model)
        body = super()._encode(plain_request(request))
        return PRECISE | body if "response_format" in body else body

    def _decoder(self, request: Request) -> Decoder:
        turn = len(request.messages)
        match callable_tools(request):
            case ():
                return super()._decoder(request)
            case (tool,):
                return CallDecoder(turn, tool_name(tool))
        return ChoiceDecoder(turn)

    def _warn(self, model: str) -> None:
        """Say once that the model won't call a tool of its own accord."""
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{model!r} can't decide to call a tool and answers without: pass tool_choice='required', or the "
                f"tool's name, to have one called, or tool_choice='none'.",
                stacklevel=2,
            )
