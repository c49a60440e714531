"""The tool that resolves dates: what people say, and the day that an English speaker means by it."""

from __future__ import annotations

import sys
import time
from datetime import date, datetime, timedelta

import pytest
from fuzzing import examples
from hypothesis import given
from hypothesis import strategies as st

from mojentic_nb.llm import LLMBroker, LLMMessage, LLMToolCall, StepFinish, ToolCallEnd
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools import ResolveDateTool
from mojentic_nb.llm.tools.phrases import read_date

WEDNESDAY = "2026-11-25"

# What is said on Wednesday, 25 November 2026.
SAID = {
    # days that are named
    "today": "2026-11-25",
    "now": "2026-11-25",
    "tonight": "2026-11-25",
    "this morning": "2026-11-25",
    "last night": "2026-11-24",
    "Tomorrow": "2026-11-26",
    "tomorrow.": "2026-11-26",
    "  yesterday ": "2026-11-24",
    "the day after tomorrow": "2026-11-27",
    "day after tomorrow": "2026-11-27",
    "the day before yesterday": "2026-11-23",
    # distances
    "in 3 days": "2026-11-28",
    "in three days": "2026-11-28",
    "in a week": "2026-12-02",
    "in a fortnight": "2026-12-09",
    "in two months": "2027-01-25",
    "in a couple of days": "2026-11-27",
    "in 2 weeks and 3 days": "2026-12-12",
    "in 36 hours": "2026-11-26",
    "3 days ago": "2026-11-22",
    "a year ago": "2025-11-25",
    "31 days ago": "2026-10-25",
    "3 days from now": "2026-11-28",
    "a month from today": "2026-12-25",
    "two weeks from monday": "2026-12-14",
    "a week from tomorrow": "2026-12-03",
    "3 days after tomorrow": "2026-11-29",
    "three weeks on Tuesday": "2026-12-22",
    "two days before december 24": "2026-12-22",
    "2 weeks and 3 days from tomorrow": "2026-12-13",
    "the day before the last day of the month": "2026-11-29",
    # weekdays
    "monday": "2026-11-30",
    "on Monday": "2026-11-30",
    "by friday": "2026-11-27",
    "Thurs": "2026-11-26",
    "wednesday": "2026-12-02",
    "this wednesday": "2026-11-25",
    "this friday": "2026-11-27",
    "this coming friday": "2026-11-27",
    "coming saturday": "2026-11-28",
    "next monday": "2026-11-30",
    "next wednesday": "2026-12-02",
    "next friday": "2026-12-04",
    "next sunday": "2026-12-06",
    "last friday": "2026-11-20",
    "last monday": "2026-11-23",
    "last wednesday": "2026-11-18",
    "past tuesday": "2026-11-24",
    "friday next week": "2026-12-04",
    "friday of next week": "2026-12-04",
    "next week on friday": "2026-12-04",
    "monday this week": "2026-11-23",
    "thursday last week": "2026-11-19",
    "thursday in two weeks": "2026-12-10",
    "monday of the week after next": "2026-12-07",
    "the friday after december 24": "2026-12-25",
    "the first monday after december 24": "2026-12-28",
    "the friday before december 24": "2026-12-18",
    # weeks, months and years: the same day of them
    "this week": "2026-11-25",
    "next week": "2026-12-02",
    "last week": "2026-11-18",
    "the week after next": "2026-12-09",
    "next month": "2026-12-25",
    "last month": "2026-10-25",
    "the month after next": "2027-01-25",
    "next year": "2027-11-25",
    "this weekend": "2026-11-28",
    "next weekend": "2026-12-05",
    "the weekend": "2026-11-28",
    # days of weeks, months, quarters and years
    "first monday of next month": "2026-12-07",
    "the first Monday of next month": "2026-12-07",
    "first monday next month": "2026-12-07",
    "the last friday of this month": "2026-11-27",
    "last friday of last month": "2026-10-30",
    "second tuesday in december": "2026-12-08",
    "second tuesday in november": "2027-11-09",
    "third thursday of november 2026": "2026-11-19",
    "fifth thursday of next month": "2026-12-31",
    "first day of next month": "2026-12-01",
    "last day of february": "2027-02-28",
    "last day of february 2028": "2028-02-29",
    "the last day of the year": "2026-12-31",
    "first of december": "2026-12-01",
    "the 24th of next month": "2026-12-24",
    "the 24th": "2026-12-24",
    "the 25th": "2026-11-25",
    "the 31st": "2026-12-31",
    "end of the month": "2026-11-30",
    "the end of next month": "2026-12-31",
    "end of the week": "2026-11-29",
    "start of next week": "2026-11-30",
    "beginning of next month": "2026-12-01",
    "end of the quarter": "2026-12-31",
    "start of next quarter": "2027-01-01",
    "start of the quarter": "2026-10-01",
    "end of the year": "2026-12-31",
    "end of last year": "2025-12-31",
    "end of 2027": "2027-12-31",
    "end of march": "2027-03-31",
    "start of november": "2027-11-01",
    "start of november 2026": "2026-11-01",
    # dates
    "2026-12-24": "2026-12-24",
    "20261224": "2026-12-24",
    "2026-12-24T17:00:00Z": "2026-12-24",
    "December 24": "2026-12-24",
    "24 December 2027": "2027-12-24",
    "Dec 24th, 2026": "2026-12-24",
    "the 24th of december": "2026-12-24",
    "Thursday, December 24": "2026-12-24",
    "november 24": "2027-11-24",
    "november 25": "2026-11-25",
    "march 3": "2027-03-03",
    "12/24/2026": "2026-12-24",
    "5/6/2027": "2027-05-06",
    "5.6.2027": "2027-06-05",
    "feb 29": "2028-02-29",
    # with a time
    "tomorrow at 5pm": "2026-11-26",
    "tomorrow morning": "2026-11-26",
    "friday night": "2026-11-27",
    "on tuesday at 3": "2026-12-01",
    "december 24 at 17:30": "2026-12-24",
}


@pytest.mark.parametrize(("said", "day"), SAID.items())
def test_a_phrase_means_a_day(said: str, day: str):
    assert ResolveDateTool().run(said, WEDNESDAY) == {
        "relative_date": said,
        "resolved_date": day,
        "summary": f"The date on '{said}' is {day}",
    }


@pytest.mark.parametrize(
    ("said", "reference", "day"),
    [
        ("tomorrow", "2026-12-31", "2027-01-01"),
        ("tomorrow", "2026-12-31T23:30:00+05:00", "2027-01-01"),
        ("next month", "2026-01-31", "2026-02-28"),
        ("next friday", "2023-10-01", "2023-10-06"),  # a Sunday
        ("next friday", "2026-11-27", "2026-12-04"),  # a Friday
        ("friday", "2026-11-27", "2026-12-04"),
        ("next monday", "2026-11-23", "2026-11-30"),  # a Monday
        ("next week", "2026-11-23", "2026-11-30"),
        ("end of the month", "2028-02-10", "2028-02-29"),
        ("first monday of next month", "2026-12-15", "2027-01-04"),
        ("january 1", "2027-01-01", "2027-01-01"),
        ("the 31st", "2026-11-30", "2026-12-31"),
        ("in 36 hours", "2026-11-25T13:00:00", "2026-11-27"),
    ],
)
def test_it_is_seen_from_the_reference(said: str, reference: str, day: str):
    assert ResolveDateTool().run(said, reference)["resolved_date"] == day


NO_DATES = [
    "",
    "the day the music died",
    "banana",
    "5",
    "24",
    "2026",
    "1764028800",
    "december",
    "in march",
    "5pm",
    "2026-02-30",
    "february 30",
    "the 32nd",
    "the 0th",
    "the 31st of february",
    "fifth monday of february",
    "fifth monday of next month",
    "friday december 24",  # a Thursday
    "friday or saturday",
    "every friday",
    "not tomorrow",
    "tomorrow tomorrow",
    "in 3 days tomorrow",
    "december 24 or so",
    "in a few days",
    "two weeks before the flood",
    "the friday after the flood",
    "friday in umpteen weeks",
    "in 100000 years",
    "the day after 9999-12-31",
    "end of 0000",
]


@pytest.mark.parametrize("said", NO_DATES)
def test_what_means_no_date_is_never_taken_for_one(said: str):
    with pytest.raises(ValueError, match=f"Can't read '{said}' as a date. Rephrase it, as in 'in 3 days'"):
        ResolveDateTool().run(said, WEDNESDAY)


@pytest.mark.parametrize("said", ["tomorrow", "next week", "next year", "next friday"])
def test_the_calendar_has_an_end(said: str):
    with pytest.raises(ValueError, match="Can't read .* as a date"):
        ResolveDateTool().run(said, "9999-12-31")


@given(st.dates(date(1950, 1, 1), date(2090, 1, 1)), st.integers(1, 400))
@examples(100)
def test_distances_and_weekdays_fit_any_day(today: date, days: int):
    base = datetime(today.year, today.month, today.day, 12)  # noqa: DTZ001 (as the tool has it)

    assert read_date(today.isoformat(), base) == today
    assert read_date(f"in {days} days", base) == today + timedelta(days)
    assert read_date(f"{days} days ago", base) == today - timedelta(days)
    for number, name in enumerate(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]):
        coming, following, last = (read_date(said + name, base) for said in ("", "next ", "last "))
        assert coming.weekday() == following.weekday() == last.weekday() == number
        assert 1 <= (coming - today).days <= 7
        assert 1 <= (today - last).days <= 7
        assert following.isocalendar()[:2] == (today + timedelta(7)).isocalendar()[:2]
    first, last = (read_date(f"{nth} monday of next month", base) for nth in ("first", "last"))
    assert first.day <= 7 < last.day
    assert (last + timedelta(7)).month != last.month == read_date("end of next month", base).month


@given(st.text(max_size=30) | st.lists(st.sampled_from(" ".join([*SAID, *NO_DATES]).split()), max_size=6).map(" ".join))
@examples(200)
def test_any_text_is_a_date_or_none(said: str):
    found = read_date(said, datetime(2026, 11, 25, 12))  # noqa: DTZ001

    assert found is None or type(found) is date


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])  # 26 hours apart: never the same day
@pytest.mark.parametrize("reference", [None, ""])
def test_without_a_reference_it_is_seen_from_the_users_own_day(
    zone: str, reference: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        before = datetime.now().astimezone().date()
        resolved = ResolveDateTool().run("today", reference)["resolved_date"]
        after = datetime.now().astimezone().date()
    finally:
        monkeypatch.undo()
        time.tzset()

    assert resolved in {before.isoformat(), after.isoformat()}


@pytest.mark.parametrize("reference", ["today", "24.12.2026", "2026-13-01"])
def test_a_reference_that_is_no_date(reference: str):
    with pytest.raises(
        ValueError, match=f"reference date '{reference}' isn't a date. Write it as YYYY-MM-DD, or leave it"
    ):
        ResolveDateTool().run("tomorrow", reference)


def test_the_model_is_told_what_means_no_date():
    call = LLMToolCall(id="a", name="resolve_date", arguments={"relative_date_found": "the day the music died"})
    gateway = ScriptedGateway([[ToolCallEnd(call), StepFinish("tool_calls")], "Which day?"])

    LLMBroker("a-model", gateway).generate([LLMMessage(content="When?")], [ResolveDateTool()])

    told = gateway.requests[1].messages[-1].content
    assert told == (
        "ValueError: Can't read 'the day the music died' as a date. Rephrase it, as in 'in 3 days', 'friday next week' "
        "or '2026-12-24'."
    )


@pytest.mark.parametrize("module", ["dateparser", "dateutil"])
def test_the_extra_is_missing(module: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ConfigurationError, match=r"pip install 'mojentic_nb\[dates\]'"):
        ResolveDateTool()
