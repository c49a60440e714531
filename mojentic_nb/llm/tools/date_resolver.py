"""A tool that turns what people say of dates into dates. Needs the extra ``dates``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.util import find_spec
from typing import Any

from mojentic_nb.llm.errors import ConfigurationError

from .llm_tool import LLMTool

__all__ = ["ResolveDateTool"]

MISSING_EXTRA = "Dates are read by dateparser: pip install 'mojentic_nb[dates]'"


class ResolveDateTool(LLMTool):
    """Resolves a relative date such as *tomorrow* or *in 3 days*, as seen from today or from a given day.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where the extra isn't installed.
    """

    def __init__(self) -> None:
        if find_spec("dateparser") is None:
            raise ConfigurationError(MISSING_EXTRA)

    @property
    def descriptor(self) -> Mapping[str, Any]:
        """The tool for the model."""
        return {
            "type": "function",
            "function": {
                "name": "resolve_date",
                "description": "Turn a relative date such as 'tomorrow' or 'in 3 days' into a date (YYYY-MM-DD).",
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

    def run(  # type: ignore[override]
        self, relative_date_found: str, reference_date_in_iso8601: str | None = None
    ) -> dict[str, str]:
        """The date that `relative_date_found` means; raises ValueError for what means none."""
        import dateparser

        reference = datetime.now().astimezone()
        if reference_date_in_iso8601:
            reference = datetime.fromisoformat(reference_date_in_iso8601)
        found = dateparser.parse(
            relative_date_found,
            languages=["en"],
            settings={"RELATIVE_BASE": reference.replace(tzinfo=None), "PREFER_DATES_FROM": "future"},
        )
        if found is None:
            raise ValueError(f"{relative_date_found!r} is no date that could be read: say it another way.")
        date = found.date().isoformat()
        return {
            "relative_date": relative_date_found,
            "resolved_date": date,
            "summary": f"The date on '{relative_date_found}' is {date}",
        }
