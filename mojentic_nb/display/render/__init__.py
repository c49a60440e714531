"""The one place that renders what a model or a tool sent: as HTML, Markdown and plain text, made safe."""

__all__: list[str] = []
