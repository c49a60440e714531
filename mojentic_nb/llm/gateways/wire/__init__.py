"""For each API an encoder and a decoder, without a network: messages to JSON, bytes to events."""

__all__: list[str] = []
