"""Reads dates as people say them, such as *the first monday of next month*.

dateparser reads plain dates (*december 24*), distances (*in 3 days*) and words (*tomorrow*). It doesn't read phrases
that combine several of these, or it reads one part and ignores the rest. So phrases are taken apart here, and every
part must mean something.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta

from dateutil.relativedelta import relativedelta, weekday
from dateutil.rrule import MONTHLY, rrule

__all__ = ["read_date"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
SHIFTS = {"last": -1, "this": 0, "": 0, "next": 1}
MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}

DAY = r"(?P<day>(?:mon|tue|wed|thu|fri|sat|sun)(?:s|r|rs|nes|ur)?(?:day)?)"
NTH = r"(?P<nth>first|second|third|fourth|fifth|last|[1-9]\d?(?:st|nd|rd|th))"
SHIFT = r"(?:(?P<shift>last|this|next) )?"
MONTH = rf"(?P<month>(?:{'|'.join(MONTHS)})[a-z]*)(?: (?P<in_year>\d{{4}}))?"
PERIOD = rf"(?:{SHIFT}(?P<unit>week|month|quarter|year)|{MONTH}|(?P<year>\d{{4}}))"
UNIT = r"(?:second|minute|hour|day|week|fortnight|month|year|decade)s?"
AMOUNT = rf"(?:[\w.]+ )?{UNIT}(?:(?: and)? [\w.]+ {UNIT})*"
RELATIVE = rf"in {AMOUNT}|{AMOUNT} ago|(?:last|this|next) (?:week|month|year)|now|today|tonight|tomorrow|yesterday"
RELATIVE += "|last night|this (?:morning|afternoon|evening)"
CLOCK = r"\d{1,2}(?::\d\d)? ?[ap]\.?m|\d{1,2}:\d\d"
TIME = rf"(?:at )?(?:{CLOCK}|noon|midnight)|at \d{{1,2}}|(?:in )?(?:morning|afternoon|evening|night)"

Rule = Callable[[re.Match[str], datetime], datetime | None]


def read_date(said: str, base: datetime) -> date | None:
    """Return the day that `said` means at `base`, a local time; None if it means none."""
    text = re.sub(r"\bthe\b|[\s,]+", " ", said.lower())
    text = re.sub(r"\b(?:a )?couple of\b", "2", text)
    with suppress(ValueError, OverflowError):  # a day that its month doesn't have, or beyond the end of the calendar
        if found := read(" ".join(text.split()).strip(" .!?"), base):
            return found.date()
    return None


def read(text: str, base: datetime) -> datetime | None:
    """Read a phrase, in lower case and without articles."""
    with suppress(ValueError):
        return datetime.fromisoformat(text.upper()).replace(tzinfo=None)
    for pattern, rule in RULES.items():
        if (found := re.fullmatch(pattern, text)) and (day := rule(found, base)):
            return day
    return plain(text, base)


def plain(text: str, base: datetime, parser: str = "absolute-time") -> datetime | None:
    """Read it with dateparser. A number alone isn't a date, and neither is one with the wrong weekday."""
    import dateparser

    if text.isdecimal():
        return None
    settings = {
        # A date that isn't after the base is taken for one of next year, but today is one of this.
        "RELATIVE_BASE": base if parser == "relative-time" else midnight(base) - timedelta(seconds=1),
        "PREFER_DATES_FROM": "future",
        "REQUIRE_PARTS": ["day"],
        "PARSERS": [parser],
        "DATE_ORDER": "DMY" if re.match(r"\d+\.\d", text) else "MDY",
    }
    found: datetime | None = dateparser.parse(text, languages=["en"], settings=settings)
    named = re.search(rf"\b{DAY}\b", text)
    return None if found and named and number_of(named["day"]) != found.weekday() else found


def from_there(found: re.Match[str], base: datetime) -> datetime | None:
    """Read an amount of time from some day: *two weeks from monday*, *the day before yesterday*."""
    there = read(found["there"], base)
    amount = f"1 {found['amount']}" if re.fullmatch(UNIT, found["amount"]) else found["amount"]
    return (
        plain(f"{amount} ago" if found["way"] == "before" else f"in {amount}", there, "relative-time")
        if there
        else None
    )


def next_day(found: re.Match[str], base: datetime) -> datetime | None:
    """Read a weekday after or before some day: *the friday after december 24*."""
    there = read(found["there"], base)
    if there is None:
        return None
    way = 1 if found["way"] == "after" else -1
    return there + relativedelta(days=way, weekday=weekday(number_of(found["day"]), way))


def day_of_week(found: re.Match[str], base: datetime) -> datetime:
    """Read a weekday: *friday* is the next one, *last friday* the one before today, *next friday* that of next week."""
    number, said = number_of(found["day"]), found["said"]
    if said == "next":
        return monday(base) + timedelta(7 + number)
    if said in ("last", "past"):
        return base + relativedelta(days=-1, weekday=weekday(number, -1))
    return base + relativedelta(days=0 if said == "this" else 1, weekday=weekday(number))


def day_in_week(found: re.Match[str], base: datetime) -> datetime | None:
    """Read a weekday in the week of some day: *friday next week*, *thursday in two weeks*."""
    there = read(found["there"], base)
    return monday(there) + timedelta(number_of(found["day"])) if there else None


def nth_of(found: re.Match[str], base: datetime) -> datetime | None:
    """Read a day by its number: *first monday of next month*, *last day of the year*, *24th of next month*."""
    nth = ORDINALS.get(found["nth"]) or int(found["nth"][:-2])
    for start, end in periods(found, base):
        if name := found.groupdict().get("day"):
            edge = start if nth > 0 else end - timedelta(1)
            day = edge + relativedelta(weekday=weekday(number_of(name), nth))
        else:
            day = start + timedelta(nth - 1) if nth > 0 else end + timedelta(nth)
        if start <= day < end and ahead(day, found, base):
            return day
    return None


def edge_of(found: re.Match[str], base: datetime) -> datetime:
    """Read the first or the last day of a period: *the end of the month*."""
    days = (end - timedelta(1) if found["edge"] == "end" else start for start, end in periods(found, base))
    return next(day for day in days if ahead(day, found, base))


def after_next(found: re.Match[str], base: datetime) -> datetime:
    """Read *week after next*, *month after next*, *year after next*: the same day of it."""
    return base + {"week": relativedelta(weeks=2), "month": relativedelta(months=2)}.get(
        found["unit"], relativedelta(years=2)
    )


def weekend(found: re.Match[str], base: datetime) -> datetime:
    """Read a weekend, as its Saturday: that of this week, of the last or of the next."""
    return monday(base) + timedelta(days=5, weeks=SHIFTS[found["shift"] or ""])


def day_of_month(found: re.Match[str], base: datetime) -> datetime | None:
    """Read a day by its number alone: *the 24th* is the next one."""
    return next(iter(rrule(MONTHLY, dtstart=base, bymonthday=int(found["nth"][:-2]), count=1)), None)


def periods(found: re.Match[str], base: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the beginning of the period that was `found`, and of what follows it; for a month without a year, twice."""
    if found["month"]:
        month = MONTHS.index(found["month"][:3]) + 1
        for year in [int(found["in_year"])] if found["in_year"] else [base.year, base.year + 1]:
            yield (start := datetime(year, month, 1)), start + relativedelta(months=1)  # noqa: DTZ001 (a local day)
    elif found["year"]:
        yield (start := datetime(int(found["year"]), 1, 1)), start + relativedelta(years=1)  # noqa: DTZ001
    elif found["unit"] == "week":
        start = monday(base) + timedelta(weeks=SHIFTS[found["shift"] or ""])
        yield start, start + timedelta(weeks=1)
    else:
        months = MONTHS_IN[found["unit"]]
        first = (base.month - 1) // months * months + 1
        start = midnight(base).replace(month=first, day=1) + relativedelta(months=months * SHIFTS[found["shift"] or ""])
        yield start, start + relativedelta(months=months)


def ahead(day: datetime, found: re.Match[str], base: datetime) -> bool:
    """Return whether `day` may be meant: in a month without a year, only if it isn't past."""
    return not found["month"] or bool(found["in_year"]) or day.date() >= base.date()


def number_of(day: str) -> int:
    """Return the number of a weekday; Monday is 0."""
    return DAYS.index(day[:3])


def midnight(day: datetime) -> datetime:
    """Return the beginning of that day."""
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def monday(day: datetime) -> datetime:
    """Return the beginning of the week of that day."""
    return midnight(day) - timedelta(day.weekday())


THERE = r"(?P<there>.+)"
RULES: dict[str, Rule] = {
    RELATIVE: lambda found, base: plain(found[0], base, "relative-time"),
    rf"(?:on|by) {THERE}|(?P<rest>.+?) (?:{TIME})": lambda found, base: read(found["there"] or found["rest"], base),
    rf"(?P<amount>{AMOUNT}) (?P<way>from|after|on|before) {THERE}": from_there,
    rf"(?:first )?{DAY} (?P<way>after|before) {THERE}": next_day,
    rf"{NTH} (?:{DAY}|day)(?: of| in)? {PERIOD}": nth_of,
    rf"{NTH} (?:of|in) {PERIOD}": nth_of,
    rf"(?P<edge>end|start|beginning) of {PERIOD}": edge_of,
    rf"(?:(?P<said>this|next|last|past)(?: coming)? |coming )?{DAY}": day_of_week,
    rf"{DAY} (?:of )?(?P<there>(?:last|this|next) week|week after next|in .+ weeks?)": day_in_week,
    rf"(?P<there>(?:last|this|next) week) (?:on )?{DAY}": day_in_week,
    rf"{SHIFT}weekend": weekend,
    r"(?P<unit>week|month|year) after next": after_next,
    r"(?P<nth>[1-9]\d?(?:st|nd|rd|th))": day_of_month,
}
