"""Messages about recordings, scripts and replays."""

from __future__ import annotations

from cases import Case, Group

RECORD = "LLMBroker('gpt-5', RecordingGateway(ScriptedGateway(['The Nile.']), 'rivers.json')).generate(QUESTION)"
REPLAY = "LLMBroker('gpt-5', ReplayGateway('rivers.json'))"
FORM = '{"format": "mojentic_nb recording", "version": %s, "exchanges": [%s]}'

RECORDINGS = Group(
    "Recordings",
    [
        Case(
            f"{REPLAY}.generate([LLMMessage('Which lakes are longest?')])",
            "The recording has no answer to this request. The lines below show how the nearest one differs.",
            "Ask as when you recorded, or record it again.",
            when="a question that wasn't recorded",
            given=RECORD,
        ),
        Case(
            f"{REPLAY}.generate(QUESTION)",
            "The recording is empty.",
            "Record it again.",
            when="a question to an empty recording",
            given=f"Path('rivers.json').write_text('{FORM % (1, '')}')",
        ),
        Case("ReplayGateway('none.json')", "No file is at this path.", "Correct it, or record first."),
        Case("ReplayGateway('.')", "The path leads to a folder.", "Add the name of the file."),
        Case(
            "ReplayGateway('notes.json')",
            "The file holds something else.",
            "Correct the path.",
            given="Path('notes.json').write_text('The Nile')",
        ),
        Case(
            "ReplayGateway('data.json')",
            "The file is JSON, but has no exchanges.",
            "Correct the path.",
            given="Path('data.json').write_text('{}')",
        ),
        Case(
            "ReplayGateway('data.json')",
            "The file is JSON, but something in it isn't as in a recording.",
            "Correct the path, or record again.",
            given=f"Path('data.json').write_text('{FORM % (1, 3)}')",
            when="a recording that was edited",
        ),
        Case(
            "ReplayGateway('deep.json')",
            "The file nests lists deeper than any recording.",
            "Correct the path.",
            given="Path('deep.json').write_text('[' * 300 + ']' * 300)",
        ),
        Case(
            "ReplayGateway('other.json')",
            "The file was made by another program.",
            "Correct the path.",
            given="""Path('other.json').write_text('{"format": "har", "version": 1}')""",
        ),
        Case(
            "ReplayGateway('new.json')",
            "A newer version of this package made the recording.",
            "Update the package, or record again.",
            given=f"Path('new.json').write_text('{FORM % (99, '')}')",
        ),
        Case(
            f"{REPLAY}.generate(QUESTION)",
            "The recording has a line that can't be read, as after editing it by hand.",
            "Undo the edit, or record again.",
            when="a recorded answer that was edited",
            given=f"{RECORD}\nimport re\ntext = Path('rivers.json').read_text()\n"
            "Path('rivers.json').write_text(text.replace('\"finish\"', '\"ending\"'))",
        ),
        Case(
            "ReplayGateway('rivers.json').model",
            "The recording has answers of several models, or none.",
            "Name the model, as the message shows.",
            when="`%%llm -m replay:FILE`, or `.model`, of an empty recording",
            given=f"Path('rivers.json').write_text('{FORM % (1, '')}')",
        ),
        Case(
            "ReplayGateway('rivers.json', speed=0)",
            "The speed isn't positive.",
            "Give a positive number, or `None`.",
            given=RECORD,
        ),
        Case(
            "LLMBroker('gpt-5', RecordingGateway(ScriptedGateway(['The Nile.']), 'rivers.json/b')).generate(QUESTION)",
            "The folder can't be created or isn't writable.",
            "Choose another path.",
            when="a `RecordingGateway` whose file can't be written",
            given=RECORD,
        ),
        Case(
            "LLMBroker('gpt-5', RecordingGateway(ScriptedGateway([deep]), 'deep.json')).generate(QUESTION)",
            "A tool call has arguments that nest deeper than 100 levels.",
            "Leave this exchange out of the recording.",
            when="a request or an answer that nests too deep for a recording",
            given="value = {}\nfor _ in range(300): value = {'a': value}\n"
            "deep = [ToolCallEnd(LLMToolCall(id='1', name='depth', arguments=value)), StepFinish('tool_calls')]",
        ),
        Case(
            "scripted().generate(QUESTION)",
            "The test asks more often than the script answers.",
            "Add an answer to the script.",
        ),
        Case(
            "ScriptedGateway(['The Nile.']).assert_complete()",
            "The test asks less often than the script answers.",
            "Remove the answer from the script, or find out why it isn't asked for.",
        ),
    ],
)

GROUPS = [RECORDINGS]
