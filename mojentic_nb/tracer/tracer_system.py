"""The path at which programs written for Mojentic find the tracer; it lives in :mod:`mojentic_nb.tracer.recorder`."""

from .recorder import TracerSystem

__all__ = ["TracerSystem"]
