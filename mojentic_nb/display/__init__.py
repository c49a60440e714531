"""How an answer is shown: live while it streams, and saved."""

from mojentic_nb.llm.text import printable

from .live import LiveView
from .render.html import as_html
from .render.text import as_markdown, as_text
from .surface import can_ask
from .transcript import Transcript

__all__ = ["LiveView", "Transcript", "as_html", "as_markdown", "as_text", "can_ask", "printable"]
