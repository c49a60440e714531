"""The ways to the providers. A provider's SDK is imported when its gateway is made, not before."""

from .local import LocalGateway
from .ollama import OllamaGateway
from .openai import OpenAIGateway
from .scripted import ScriptedGateway

__all__ = ["LocalGateway", "OllamaGateway", "OpenAIGateway", "ScriptedGateway"]
