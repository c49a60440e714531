"""Messages about conversations, messages and the broker's options."""

# ruff: noqa: E501 (a cell is shown as it is written)
from __future__ import annotations

from loopback import Reply, completion

from cases import Case, Group
from cases.models import refused, without

SESSIONS = Group(
    "Chat sessions",
    [
        Case("ChatSession('gpt-5')", "A session needs something to ask.", "Make a broker as the message shows."),
        Case("ChatSession(scripted(), max_context=0)", "A conversation needs some room.", "Give a number of tokens."),
        Case("ChatSession(scripted()).send('')", "There is nothing to ask.", "Write something, or add an image."),
        Case("ChatSession(scripted()).send(3)", "The value isn't a question.", "Pass text."),
        Case(
            "ChatSession(scripted()).send(LLMMessage('Be brief', role='system'))",
            "`send` asks what the user says.",
            "Add other messages with `insert_message`.",
        ),
        Case(
            "session = ChatSession(scripted('The Nile.', 'The Po.'))\nfirst = session.stream('Name a river.')\nnext(iter(first))\nsession.send('Another one.')",
            "A session answers one question at a time, and the last answer isn't complete.",
            "Read the answer to its end, or call `close()` on its run.",
            when="`session.send()` while another answer streams",
        ),
        Case(
            "ChatSession(scripted()).insert_message(LLMMessage(''))",
            "The message has no content.",
            "Give it text or an image.",
        ),
        Case(
            "ChatSession(scripted()).insert_message(LLMMessage('11', role='tool', tool_calls=[LLMToolCall(id='1', name='depth', arguments={})]))",
            "A result belongs right after the call that it answers.",
            "Insert the assistant's message with the call first.",
            when="`insert_message()` with a result that no call waits for",
        ),
        Case(
            "session.insert_message(LLMMessage('And now?'))",
            "The last message calls a tool, and its result is missing.",
            "Insert the result first.",
            when="`insert_message()` after a message that calls a tool",
            given="session = ChatSession(scripted())\nsession.insert_message(LLMMessage('Hi'))\n"
            "session.insert_message(LLMMessage(role='assistant', tool_calls=[LLMToolCall(id='1', name='depth', arguments={})]))",
        ),
        Case(
            "session.send('And the next one?')",
            "The model's context is smaller than the session's `max_context`, so the older half was left out.",
            "Pass a lower `max_context`.",
            when="a session whose `max_context` is larger than the model's",
            given="session = ChatSession(LLMBroker('gpt-5', OpenAIGateway()))\nfor i in range(3):\n"
            "    session.insert_message(LLMMessage('Name a river.'))\n    session.insert_message(LLMMessage('The Nile.', role='assistant'))",
            replies=lambda: [
                refused(400, "too many tokens", "context_length_exceeded"),
                Reply([completion("The Po.")]),
            ],
            pick="Warning",
        ),
    ],
)

MESSAGES = Group(
    "Messages and images",
    [
        Case("scripted().generate([])", "There is nothing to ask.", "Pass at least one message."),
        Case(
            "scripted().generate('Name a river.')",
            "The broker takes a list of messages.",
            "Write it as the message shows.",
        ),
        Case(
            "scripted().generate([3])",
            "The value isn't a message.",
            "Pass an `LLMMessage`, or a dict in OpenAI's form.",
        ),
        Case("scripted().generate([LLMMessage('')])", "Providers refuse empty messages.", "Give it text or an image."),
        Case(
            "LLMMessage('Hi', rôle='user')",
            "The message has no such field, but one with a similar name.",
            "Correct it.",
        ),
        Case("LLMMessage('Hi', weather='fine')", "The message has no such field.", "Use one that the message lists."),
        Case(
            "scripted().generate([{'role': 'user', 'content': [{'type': 'video'}]}])",
            "The part has a type that isn't supported.",
            "Use text and images.",
        ),
        Case(
            "scripted().generate([{'role': 'user', 'content': [{'type': 'image_url', 'image_url': '/etc/passwd'}]}])",
            "A dict may have come from elsewhere, so it can't name files of this machine.",
            "Pass an `LLMMessage` with `image_paths`.",
        ),
        Case("MessageBuilder().build()", "The builder has nothing in it.", "Add text, a file or an image."),
        Case("MessageBuilder().add_file('notes.txt')", "No file is at this path.", "Correct the path."),
        Case("MessageBuilder().add_file('.')", "The path leads to a folder.", "Pass the path of a file in it."),
        Case("MessageBuilder().add_files('*.md')", "No file matches.", "Correct the pattern."),
        Case(
            "MessageBuilder().add_file('data.bin')",
            "The file isn't text.",
            "Convert it to text in UTF-8 first.",
            given="Path('data.bin').write_bytes(b'\\0\\xff')",
        ),
        Case(
            "MessageBuilder().add_image('notes.md')",
            "The name of the file doesn't end like that of a picture.",
            "Rename or convert it.",
            given="Path('notes.md').write_text('Nile')",
        ),
        Case(
            "LLMBroker('gpt-5', OpenAIGateway()).generate([LLMMessage('What is this?', image_paths=['notes.md'])])",
            "The name of the file doesn't end like that of a picture.",
            "Rename or convert it.",
            when="`image_paths=['notes.md']`",
            given="Path('notes.md').write_text('Nile')",
        ),
        Case(
            "LLMBroker('gpt-5', OpenAIGateway()).generate([LLMMessage('What is this?', image_paths=['none.png'])])",
            "No file is at this path, or it can't be read.",
            "Correct the path.",
            when="`image_paths=['none.png']` or `%%llm -i none.png`",
        ),
        Case(
            "LLMBroker('gpt-5', OpenAIGateway()).generate([LLMMessage('What is this?', image_paths=['data:,x'])])",
            "The URI doesn't hold an image in base64.",
            "Write it as the message shows.",
            when="`image_paths=['data:,x']`",
        ),
        Case(
            "LLMBroker('qwen3:4b', OllamaGateway()).generate([LLMMessage('What is this?', image_paths=['https://example.com/map.png'])])",
            "Ollama doesn't download images.",
            "Download it yourself and pass the file.",
            when="a link among `image_paths`, for Ollama",
        ),
    ],
)

BROKER = Group(
    "Options of the broker",
    [
        Case("scripted().generate(QUESTION, temprature=0)", "The method has no such option.", "Correct it."),
        Case(
            "scripted().generate(QUESTION, config={'temperature': 0})",
            "The settings have a class of their own.",
            "Write them as the message shows.",
        ),
        Case("CompletionConfig(temprature=0)", "`CompletionConfig` has no setting of this name.", "Correct the name."),
        Case(
            "scripted('The Nile.').generate(QUESTION, config=CompletionConfig(), temperature=0)",
            "The setting is passed twice, and the config counts.",
            "Put it into the config.",
            pick="Warning",
        ),
        Case(
            "scripted(tracer=print)",
            "The value doesn't have the methods of a tracer.",
            "Pass a `TracerSystem()`.",
            given="print = 3",
        ),
        Case("scripted(tool_runner=3)", "The value doesn't have the methods of a runner.", "Pass a `ToolRunner()`."),
        Case(
            "run = scripted('The Nile.').stream(QUESTION)\nnext(iter(run))\ndef read():\n    try: list(run)\n    except RuntimeError as e: print(f'RuntimeError: {e}')\n"
            "thread = threading.Thread(target=read); thread.start(); thread.join()",
            "Two threads or tasks read the same run.",
            "Read it in one of them, or make a second run.",
            when="one run, read from two threads",
        ),
        Case(
            "scripted('The Nile.', tracer=Tracer()).generate(QUESTION)",
            "Your tracer raised an error. It gets no more events of this run.",
            "Correct the tracer.",
            when="a tracer that raises",
            given="class Tracer:\n    def begin(self, *_): return self\n    def record(self, *_): raise OSError('disk full')",
            pick="Warning",
        ),
        Case(
            "TracerSystem().waterfall('42')",
            "The tracer recorded nothing for this id.",
            "`get_events()` shows the ids.",
        ),
        Case(
            "from mojentic_nb.tracer import EventStore\nEventStore(max_events=0)",
            "A store needs room for at least one event.",
            "Give 1 or more.",
            when="`EventStore(max_events=0)`",
        ),
        Case(
            "TracerSystem().record_llm_response('gpt-5', '', tool_calls=[{'name': 3}])",
            "The call lacks a field or has a wrong one.",
            "Pass the call that the run reports, or a dict with `name` and `arguments`.",
            when="`record_llm_response()` with a call that can't be read",
        ),
        Case(
            "TracerSystem().record_llm_call('gpt-5', [], tools=[{}])",
            "The tool's `descriptor` doesn't have the form that providers expect.",
            "Pass the tool itself, or write the dict as the message shows.",
        ),
        Case(
            without("opentelemetry.trace", "import mojentic_nb.tracer.otel"),
            "The exporter needs a package that isn't installed.",
            "Run the command that the message shows.",
            when="`OpenTelemetryExporter`, without opentelemetry",
            given="sys.modules.pop('mojentic_nb.tracer.otel', None)",
        ),
        Case(
            "from mojentic_nb.tracer.otel import OpenTelemetryExporter\nOpenTelemetryExporter('openai', base_url='openai')",
            "The spans name the server, and this isn't an address.",
            "Write it as the message shows.",
            when="`OpenTelemetryExporter('openai', base_url='openai')`",
        ),
    ],
)

GROUPS = [SESSIONS, MESSAGES, BROKER]
