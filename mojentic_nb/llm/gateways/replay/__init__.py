"""Answers recorded in a file and played back."""

__all__: list[str] = []
