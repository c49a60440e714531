"""The path at which programs written for Mojentic find the store; it lives in :mod:`mojentic_nb.tracer.store`."""

from .store import EventStore

__all__ = ["EventStore"]
