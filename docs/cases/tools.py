"""Messages about tools, approvals and objects."""

# ruff: noqa: E501 (a cell is shown as it is written)
from __future__ import annotations

from loopback import Reply, completion, tool_call

from cases import Case, Group
from cases.asking import KERNEL, NO_KERNEL
from cases.models import without

DEPTH = "def depth(river: str): return 11"

TOOLS = Group(
    "Tools",
    [
        Case(
            "scripted().stream(QUESTION, tools=depth)",
            "The option takes several tools.",
            "Put brackets around the one.",
            given=DEPTH,
        ),
        Case(
            "scripted().stream(QUESTION, tools='depth')",
            "Text isn't a list of tools.",
            "Pass the function itself, in a list.",
        ),
        Case(
            "scripted().stream(QUESTION, tools=[3])",
            "The value can't be called.",
            "Pass a function, or an object like `LLMTool`.",
        ),
        Case(
            "scripted().stream(QUESTION, tools=[CurrentDateTimeTool])",
            "The class is passed where an instance belongs.",
            "Add parentheses.",
        ),
        Case(
            "scripted().stream(QUESTION, tools=[depth, depth])",
            "A model calls a tool by its name, so each needs its own.",
            "Rename one of them with `tool(function, name=…)`.",
            given=DEPTH,
        ),
        Case("tool(3)", "Only a function can become a tool.", "Pass a function or a method."),
        Case(
            "tool(lambda city: 11)",
            "A lambda has no name by which a model could call it.",
            "Add `name=…`, or use `def`.",
        ),
        Case(
            "tool(depth, name='how deep?')",
            "Providers restrict the names of tools.",
            "Choose a name as the message describes.",
            given=DEPTH,
        ),
        Case("tool(depth, timeout=0)", "A tool needs some time.", "Give seconds, or `None` for no limit.", given=DEPTH),
        Case(
            "tool(depths)",
            "A model names each argument, and `*rivers` have no names.",
            "Take a list, as in `def depths(rivers: list[str])`.",
            when="`tool(depths)`, where `depths` is `def depths(*rivers)`",
            given="def depths(*rivers): ...",
        ),
        Case(
            "tool(depth)",
            "The type of a parameter can't be written in JSON, which is what a model sends.",
            "Use types such as `str`, `int`, `list[str]` or a pydantic model.",
            when="`tool(depth)`, where `depth` is `def depth(lock: threading.Lock)`",
            given="class Lock: ...\ndef depth(lock: Lock): ...",
        ),
        Case(
            "tool(depth)",
            "The type hint names something that isn't defined.",
            "Import or define it before you make the tool.",
            when="`tool(depth)`, where `depth` is `def depth(river: 'River')`",
            given="def depth(river: 'River'): ...",
        ),
        Case(
            "tool(min)",
            "Python doesn't know the parameters of some built-in functions.",
            "Wrap it: `def lowest(numbers: list[float]): return min(numbers)`.",
        ),
        Case(
            "scripted().stream(QUESTION, tools=[Bare()])",
            "The tool's `descriptor` doesn't have the form that providers expect.",
            "Write it as the message shows.",
            when="a tool object whose `descriptor` is `{}`",
            given="class Bare:\n    descriptor = {}\n    def run(self): ...\n    __repr__ = lambda self: 'Bare()'",
        ),
        Case(
            "scripted().stream(QUESTION, tool_choice='required')",
            "There is nothing to choose from.",
            "Pass `tools=[…]` as well.",
        ),
        Case(
            "scripted().stream(QUESTION, [depth], tool_choice='width')",
            "No tool has this name.",
            "Choose one of those that the message lists.",
            given=DEPTH,
        ),
        Case(
            "LLMBroker('qwen3:4b', OllamaGateway()).generate(QUESTION, [depth], tool_choice='required')",
            "Ollama's API has no such option.",
            "Leave it out, or use another provider.",
            given=DEPTH,
        ),
        Case(
            "LLMBroker('m', Theirs()).generate(QUESTION, [depth], tool_choice='required')",
            "A gateway written for Mojentic has no such option.",
            "Leave it out, or use another gateway.",
            when="`tool_choice='required'` with a gateway written for Mojentic",
            given=f"{DEPTH}\nclass Theirs:\n    def complete(self, model, messages, tools=None): ...",
        ),
        Case(
            "LLMBroker('claude', AnthropicGateway()).generate(QUESTION, [depth], CompletionConfig(reasoning_effort='low'), tool_choice='required')",
            "Anthropic's API refuses a forced tool call together with reasoning.",
            "Leave one of the two out.",
            when="`tool_choice='required'` and `reasoning_effort='low'` for Claude",
            given=DEPTH,
        ),
        Case("ToolRunner(0)", "With this limit no tool could run.", "Give 1 or more."),
        Case("ToolRunner(timeout=0)", "With this limit no tool could run.", "Give seconds, or `None` for no limit."),
        Case(
            without("dateparser", "ResolveDateTool()"),
            "The tool needs two packages that aren't installed.",
            "Run the command that the message shows.",
            when="`ResolveDateTool()` or `-t resolve_date`, without dateparser",
        ),
        Case(
            "ResolveDateTool().run(relative_date_found='one fine day')",
            "The words contain no date. In a run, the model reads this and tries again.",
            "Use words like those that the message shows.",
        ),
        Case(
            "ResolveDateTool().run(relative_date_found='tomorrow', reference_date_in_iso8601='soon')",
            "The day from which to count isn't a date. In a run, the model reads this and tries again.",
            "Write it as YYYY-MM-DD, or leave it out.",
        ),
    ],
)

RESULTS = Group(
    "Tool calls that failed",
    [
        Case(
            "result(scripted(calls('width'), 'Sorry.').stream(QUESTION, [depth]))",
            "The model called a tool that you didn't offer.",
            "Nothing. The model reads this and goes on without.",
            when="a call of a tool that doesn't exist",
            given=DEPTH,
        ),
        Case(
            "result(scripted(calls('depth', lake='Como'), 'Sorry.').stream(QUESTION, [depth]))",
            "The arguments don't match the function's parameters.",
            "Usually nothing: the model reads this and tries again. If it repeats, describe the parameters in the docstring.",
            when="a call with wrong arguments",
            given=DEPTH,
        ),
        Case(
            "result(LLMBroker('gpt-5', OpenAIGateway()).stream(QUESTION, [depth]))",
            "The model wrote arguments that aren't valid JSON.",
            "Nothing. The model reads this and tries again.",
            when="a call whose arguments aren't JSON",
            replies=lambda: [Reply([tool_call("depth", "{river")]), Reply([completion("Sorry.")])],
            given=DEPTH,
        ),
        Case(
            "result(LLMBroker('gpt-5', OpenAIGateway()).stream(QUESTION, [depth]))",
            "The model wrote a list or a number where arguments have names.",
            "Nothing. The model reads this and tries again.",
            when="a call whose arguments have no names",
            replies=lambda: [Reply([tool_call("depth", "[1]")]), Reply([completion("Sorry.")])],
            given=DEPTH,
        ),
        Case(
            "result(LLMBroker('gpt-5', OpenAIGateway()).stream(QUESTION, [depth]))",
            "The model repeated an opening bracket, as small models do.",
            "Nothing. The model reads this and tries again.",
            when="a call whose arguments are nested too deep",
            replies=lambda: [Reply([tool_call("depth", "[" * 300 + "]" * 300)]), Reply([completion("Sorry.")])],
            given=DEPTH,
        ),
        Case(
            "result(scripted(calls('depth', river='Po'), 'Sorry.').stream(QUESTION, [depth]))",
            "The function raised an error. The model reads it, without the traceback.",
            "Usually nothing. The card of the call shows the traceback.",
            when="a tool that raises",
            given="def depth(river: str): raise KeyError(river)",
        ),
        Case(
            "result(scripted(calls('slow'), 'Sorry.').stream(QUESTION, [tool(slow, timeout=0.1)]))",
            "The tool took longer than its `timeout`. A tool in a thread can't be stopped and may still be running.",
            "Give it more time.",
            when="a tool that exceeds its `timeout`",
            given="async def slow(): await asyncio.sleep(5)",
        ),
        Case(
            "run = scripted(calls('depth', river='Po')).stream(QUESTION, [depth])\nfor event in run:\n"
            "    if isinstance(event, ToolCallEnd): run.cancel()\nprint(run.messages[2].content)",
            "You stopped the answer while a call was waiting or running.",
            "Nothing. The model reads this when you go on with the conversation.",
            when="a call in an answer that was stopped",
            given=DEPTH,
        ),
        Case(
            "run = scripted(calls('depth', river='Po')).stream(QUESTION, [depth], CompletionConfig(max_tool_iterations=0))\n"
            "try:\n    list(run)\nexcept Exception: pass\nprint(run.messages[2].content)",
            "The answer had no rounds left to run the call.",
            "Raise `--max-steps` or `max_tool_iterations`.",
            when="a call beyond the limit of rounds",
            given=DEPTH,
        ),
        Case(
            "result(scripted(calls('depth', river='Po'), 'Sorry.').stream(QUESTION, [depth]))",
            "The picture is too large for providers.",
            "Return a smaller one.",
            when="a tool that returns a picture of more than 3.7 MB",
            given="class Big:\n    def _repr_png_(self): return b'\\x89PNG\\r\\n\\x1a\\n' + bytes(4_000_000)\ndef depth(river: str): return Big()",
        ),
    ],
    "The model reads these texts as the result of its call, and can mend the call or answer without. The card of the call "
    "shows them to you.",
)

APPROVALS = Group(
    "Approvals",
    [
        Case(
            "result(scripted(calls('depth', river='Po'), 'Sorry.').stream(QUESTION, [depth], approve=lambda call: False))",
            "You, or the function `approve`, refused the call.",
            "Nothing. The model reads this and answers without.",
            when="a call that was denied",
            given=DEPTH,
        ),
        Case(
            "result(scripted(calls('depth', river='Po'), 'Sorry.').stream(QUESTION, [tool(depth, approval=True)]))",
            "The tool needs approval, and no `approve` function was given.",
            "Pass `approve=view.approve`, or a function of your own.",
            when="a tool with `approval=True`, and no `approve=`",
            given=DEPTH,
        ),
        Case(
            "result(scripted(calls('depth', river='Po'), 'Sorry.').stream(QUESTION, [depth], approve=LiveView().approve))",
            "Nobody can be asked here: no one watches the notebook, as in nbconvert.",
            "Run the notebook in JupyterLab, or set `LLMMagics.approval` to `allow`.",
            when="a tool that needs approval, in a notebook that runs unattended",
            given=DEPTH,
        ),
        Case(
            "result(scripted(calls('depth', river='Po'), 'Sorry.').stream(QUESTION, [depth], approve=lambda call: 1))",
            "Your `approve` function returned something other than a bool or a text. Only `True` lets a call run.",
            "Return `True`, `False`, or the reason as text.",
            when="an `approve` function that returns `1`",
            given=DEPTH,
        ),
        Case(
            "result(scripted(calls('depth', river='Po'), 'Sorry.').stream(QUESTION, [depth], approve=ask))",
            "Your `approve` function raised an error, so the call didn't run.",
            "Correct the function.",
            when="an `approve` function that raises",
            given=f"{DEPTH}\ndef ask(call): raise OSError('no terminal')",
        ),
        Case(
            "try:\n    list(scripted(calls('depth', river='Po'), 'Sorry.').stream(QUESTION, [depth], approve=LiveView().approve))\n"
            "finally:\n    sys.stdin = real",
            "The tool needs approval, and buttons can't be shown here.",
            "Type `y` to let it run. Anything else denies the call.",
            when="a tool that needs approval, in a terminal",
            given=f"{DEPTH}\nimport io\nclass Terminal(io.StringIO):\n    isatty = lambda self: True\n"
            "sys.stdin, real = Terminal('y\\n'), sys.stdin",
            pick="y/N",
        ),
        Case(
            "scripted().stream(QUESTION, approve=True)",
            "`approve` is a function that decides about each call.",
            "Pass one, such as `lambda call: call.name == 'depth'`.",
        ),
    ],
)

TRIP = "class Trip(BaseModel):\n    city: str\n    days: int"

OBJECTS = Group(
    "Objects",
    [
        Case(
            "scripted('{}', '{}').generate_object(QUESTION, Trip)",
            "The model was asked twice, and both replies don't match the type.",
            "Describe the fields in the question or in the class, make the type simpler, or ask a larger model.",
            when="`generate_object()` or `--as`, and a model that can't do it",
            given=TRIP,
        ),
        Case(
            "%%llm -m openai:gpt-5-mini --as Trip\nPlan a trip.",
            "The reply didn't match the type, so the model is asked once more.",
            "Nothing.",
            when="`--as`, and a reply that doesn't match at first",
            given=TRIP,
            replies=lambda: [Reply([completion("{}")]), Reply([completion('{"city": "Oslo", "days": 2}')])],
            pick="retry",
        ),
        Case(
            f"{KERNEL}\n"
            "get_ipython().run_cell_magic('llm', '-m openai:gpt-5-mini --as list[Trip]', 'List my trips.')\n"
            f"{NO_KERNEL}",
            "The model answered with an empty list.",
            "Nothing. `_` is an empty list.",
            when="`--as list[Trip]`, and an empty list",
            given=TRIP,
            replies=lambda: [Reply([completion('{"value": []}')])],
            pick="rows",
        ),
        Case(
            "scripted([TextDelta('{\"city\": \"Os'), StepFinish('length')]).generate_object(QUESTION, Trip)",
            "The reply reached its limit of tokens before the object was complete.",
            "Raise `max_tokens`.",
            when="`generate_object()`, and a reply that was cut",
            given=TRIP,
        ),
        Case(
            "scripted([StepFinish('content_filter')]).generate_object(QUESTION, Trip)",
            "The model refused, or the provider filtered the reply.",
            "Rephrase the question, or ask another model.",
            when="`generate_object()`, and a reply that was filtered",
            given=TRIP,
        ),
        Case(
            'stream = scripted(\'{"city": "Oslo"\').stream_object(QUESTION, Trip)\nstream.run.cancel()\nstream.read()',
            "The answer was stopped before the object was complete.",
            "Ask again. What had arrived is in `error.partial`.",
            when="`ObjectStream.read()` of an answer that was stopped",
            given=TRIP,
        ),
        Case(
            "scripted().generate_object(QUESTION, BaseModel)",
            "`BaseModel` has no fields, and a function isn't a type.",
            "Define a class with the fields that you want.",
        ),
        Case(
            "scripted().generate_object(QUESTION, object_model=3)",
            "The value isn't a type, or JSON can't describe it.",
            "Pass a pydantic model, or a type such as `list[str]`.",
        ),
        Case(
            "scripted().generate_stream(QUESTION, object_model=Trip)",
            "This method streams text. An object grows in another way.",
            "Use the method that the message names.",
            given=TRIP,
        ),
    ],
)

GROUPS = [TOOLS, RESULTS, APPROVALS, OBJECTS]
