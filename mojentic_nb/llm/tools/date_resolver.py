"""A tool that turns relative dates, as people say them, into dates. Needs the extra ``dates``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.util import find_spec
from typing import Any

from mojentic_nb.llm.errors import ConfigurationError

from .llm_tool import LLMTool, ToolTracer

__all__ = ["ResolveDateTool"]

MISSING_EXTRA = "Relative dates need dateparser and dateutil: pip install 'mojentic_nb[dates]'"


class ResolveDateTool(LLMTool):
    """Resolves a relative date such as *tomorrow* or *in 3 days*, as seen from today or from a given day.

    Today is the day in this machine's time zone. Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where the
    extra isn't installed.
    """

    def __init__(self, tracer: ToolTracer | None = None) -> None:
        super().__init__(tracer)
        if find_spec("dateparser") is None or find_spec("dateutil") is None:
            raise ConfigurationError(MISSING_EXTRA)

    @property
    def descriptor(self) -> Mapping[str, Any]:
        """The tool for the model."""
        return {
            "type": "function",
            "function": {
                "name": "resolve_date",
                "description": "Turn a relative date such as 'tomorrow' or 'next friday' into a date (YYYY-MM-DD).",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "relative_date_found": {"type": "string", "description": "The relative date, as it was said."},
                        "reference_date_in_iso8601": {
                            "type": "string",
                            "description": "The day from which it is seen (YYYY-MM-DD); today if not given.",
                        },
                    },
                    "required": ["relative_date_found"],
                    "additionalProperties": False,
                },
            },
        }

    def run(self, relative_date_found: str, reference_date_in_iso8601: str | None = None) -> dict[str, str]:
        """The date that `relative_date_found` means; raises ValueError if it means none."""
        from .phrases import read_date

        found = read_date(relative_date_found, reference_time(reference_date_in_iso8601))
        if found is None:
            raise ValueError(
                f"Can't read {relative_date_found!r} as a date. Rephrase it, as in 'in 3 days', 'friday next week' or "
                "'2026-12-24'."
            )
        return {
            "relative_date": relative_date_found,
            "resolved_date": found.isoformat(),
            "summary": f"The date on '{relative_date_found}' is {found.isoformat()}",
        }


def reference_time(said: str | None) -> datetime:
    """The local time from which dates are seen: now if it isn't given. Raises ValueError if it isn't a date."""
    if not said:
        return datetime.now()  # noqa: DTZ005 (the user's own day)
    try:
        return datetime.fromisoformat(said).replace(tzinfo=None)
    except ValueError as error:
        raise ValueError(
            f"The reference date {said!r} isn't a date. Write it as YYYY-MM-DD, or leave it out for today."
        ) from error
