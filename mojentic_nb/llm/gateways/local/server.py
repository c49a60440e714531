"""The gateway to llama.cpp's server in the model's process."""

from __future__ import annotations

from typing import Any

from mojentic_nb.llm.events import Notice
from mojentic_nb.llm.gateway_filter import Passage
from mojentic_nb.llm.gateways.openai import OpenAIGateway
from mojentic_nb.llm.gateways.wire.decoding import Decoder
from mojentic_nb.llm.messages import MessageRole
from mojentic_nb.llm.request import Request, chosen, tool_name

from .process import ModelProcess
from .tools import CallDecoder, ChoiceDecoder, answer_request, call_request, callable_tools, plain_request

__all__ = ["ServerGateway"]

# For JSON under a schema, and a reply from a tool's result. Both repeat parts of the prompt, and with a penalty on
# repetition a small model invents something else.
PRECISE = {"temperature": 0, "repeat_penalty": 1.0}


class ServerGateway(OpenAIGateway):
    """A gateway to the model in `process`.

    A forced call is constrained to the tool's schema, since llama.cpp itself doesn't force it. Otherwise a model whose
    chat template supports tools gets an ordinary request, and one whose template doesn't gets a prompt that it
    understands (:mod:`.tools`), and answers without a call.
    """

    def __init__(self, process: ModelProcess) -> None:
        # No proxy is for this machine's own loopback interface. There is no timeout: if the process ends, so does the
        # connection.
        super().__init__(process.api_key, f"{process.url}/v1", timeout=None, trust_env=False)
        with self._asking() as client:
            properties: Any = client.get(f"{process.url}/props", cast_to=object)
        self._knows_tools = bool(properties["chat_template_caps"]["supports_tools"])
        self._reads_images = bool(properties["modalities"]["vision"])

    def sees(self, model: str) -> bool:
        """Return whether the model reads images."""
        return self._reads_images and super().sees(model)

    def begin(self, request: Request) -> Passage:
        """Begin to send `request`, with a notice if its tools are left out."""
        passage = super().begin(request)
        if request.tools and not (self._knows_tools or ends_with_result(request)) and chosen(request) in (None, "auto"):
            passage.notices.append(
                Notice(
                    f"The tools were left out: {request.model!r} can't choose to call one. Force a call with "
                    "tool_choice='required' or the tool's name, or pass tool_choice='none'."
                )
            )
        return passage

    def _encode(self, request: Request) -> dict[str, Any]:
        if tools := callable_tools(request):
            return PRECISE | super()._encode(call_request(request, tools))
        if self._knows_tools:
            return super()._encode(request)
        if ends_with_result(request):
            return PRECISE | super()._encode(answer_request(request))
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


def ends_with_result(request: Request) -> bool:
    """Return whether the last message is the result of a tool call."""
    return bool(request.messages) and request.messages[-1].role is MessageRole.Tool
