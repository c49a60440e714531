"""Messages about widgets and how answers are shown."""

# ruff: noqa: E501 (a cell is shown as it is written)
from __future__ import annotations

from cases import Case, Group

DISPLAY = Group(
    "Widgets and display",
    [
        Case("LiveView(3)", "The first argument is the model's name as text.", "Pass a name, or nothing."),
        Case("LiveView().show('The Nile.')", "A view shows a run.", "Pass what `broker.stream()` returns."),
        Case(
            "LiveView().show(scripted('The Nile.').astream(QUESTION))",
            "The run is asynchronous and the method isn't.",
            "Use the method that the message names, with `await`.",
        ),
        Case(
            "run = scripted('The Nile.').stream(QUESTION)\nlist(run)\nLiveView(view='text').show(run)",
            "A run can be read once, and this one was.",
            "Ask again and show the new run.",
            when="`view.show(run)` with a run that was already read",
            pick="Error",
        ),
        Case(
            "view = LiveView(view='text')\nrun = scripted(calls('ask'), 'Hm.').stream(QUESTION, [ask])\nview.watch(run)\n"
            "print(next(m.content for m in run.messages if m.role is MessageRole.Tool))",
            "A tool shows a run in the view that is showing the tool's own run.",
            "Make another view for it.",
            when="`view.watch(run)` within a tool of the run that the view shows",
            given="def ask():\n    view.watch(scripted('Hm.').stream(QUESTION))",
            pick="LiveView",
        ),
        Case(
            "LiveView(view='pdf').show(scripted('The Nile.').stream(QUESTION))",
            "No such view exists.",
            "Choose one that the message lists.",
        ),
        Case(
            "LiveView().show(scripted('The Nile.').stream(QUESTION))",
            "The variable has a value that it can't have.",
            "Choose one that the message lists, or unset it.",
            when="`MOJENTIC_NB_DISPLAY=pdf` in the environment",
            given="os.environ['MOJENTIC_NB_DISPLAY'] = 'pdf'",
        ),
        Case(
            "LiveView().notice('fatal', 'The kettle boils.')",
            "A notice has one of three levels.",
            "Choose one of them.",
        ),
    ],
)

GROUPS = [DISPLAY]
