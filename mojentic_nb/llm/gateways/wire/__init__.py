"""What goes over the wire: for each API an encoder and a decoder, pure functions of JSON and bytes."""

__all__: list[str] = []
