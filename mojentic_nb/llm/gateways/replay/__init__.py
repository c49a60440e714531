"""Replies recorded in a file and replayed."""

__all__: list[str] = []
