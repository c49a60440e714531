"""Gateways to the providers. A provider's SDK is imported when its gateway is made, not before."""

from .anthropic import AnthropicGateway
from .local import LocalGateway
from .ollama import OllamaGateway
from .openai import OpenAIGateway
from .replay.recording import RecordingGateway, record_or_replay
from .replay.replay import ReplayGateway, ReplayMissError
from .scripted import ScriptedGateway
from .transport import Timeout

__all__ = [
    "AnthropicGateway",
    "LocalGateway",
    "OllamaGateway",
    "OpenAIGateway",
    "RecordingGateway",
    "ReplayGateway",
    "ReplayMissError",
    "ScriptedGateway",
    "Timeout",
    "record_or_replay",
]
