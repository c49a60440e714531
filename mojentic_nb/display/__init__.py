"""How an answer is shown: live while it streams, and saved."""

from mojentic_nb.llm.plain import printable

from .html import as_html
from .live import LiveView
from .markdown import as_markdown
from .surface import can_ask
from .text import as_text
from .transcript import Transcript

__all__ = ["LiveView", "Transcript", "as_html", "as_markdown", "as_text", "can_ask", "printable"]
