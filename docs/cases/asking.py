"""Messages of ``%%llm`` cells: the question, its options, and the commands of ``%llm``."""

# ruff: noqa: E501 (a cell is shown as it is written)
from __future__ import annotations

from loopback import Hold, Reply, chunk, completion, sse

from cases import Case, Group

MODEL = "%%llm -m openai:gpt-5-mini"
ANSWERED = "get_ipython().run_cell_magic('llm', '-m openai:gpt-5-mini', 'Name a river.')"


def answer(*texts: str) -> Reply:
    """A whole answer."""
    return Reply([completion(*(texts or ("The ", "Nile.")))])


CODE = "```python\nprint(6 * 7)\n```\n"
KERNEL = "import types; get_ipython().kernel = types.SimpleNamespace(_allow_stdin=False, get_parent=dict)"
NO_KERNEL = "del get_ipython().kernel"
INSERT = "get_ipython().run_cell_magic('llm', '-m openai:gpt-5-mini --code', 'Multiply 6 by 7.')"

QUESTION = Group(
    "Asking from a cell",
    [
        Case(
            "%%llm\n \n",
            "The cell has no question: the line with `%%llm` takes only options.",
            "Write the question below that line.",
            when="a cell with nothing below `%%llm`",
        ),
        Case(
            f"{MODEL}\nCompare {{{{ the longest rivers }}}}.",
            "Double braces hold a Python expression, and this text isn't one.",
            "Correct the expression. To send two plain braces, put a backslash before them.",
            when="`{{ the longest rivers }}` in a question",
        ),
        Case(
            f"{MODEL}\nDescribe {{{{ rivers }}}}.",
            "The expression names a variable that the notebook doesn't have.",
            "Run the cell that defines it, or correct the name.",
            when="`{{ rivers }}` in a question",
        ),
        Case(
            f"{MODEL}\nHalve {{{{ 1 / 0 }}}}.",
            "The expression raised an error, which the message quotes. Nothing was sent.",
            "Try the expression in a cell of its own and correct it.",
            when="`{{ 1 / 0 }}` in a question",
        ),
        Case(
            f"{MODEL}\nSum up {{{{ read() }}}}.",
            "The value of the expression is a coroutine, which has no text yet.",
            "Run `text = await read()` in its own cell, then write `{{ text }}`.",
            when="`{{ read() }}` in a question, where `read` is an `async def`",
            given="async def read(): return 'Nile'",
        ),
        Case(
            f"{MODEL}\nDescribe {{{{ table }}}}.",
            "Turning the value into text for the model raised an error of the value's own code.",
            "Look at the value in a cell of its own, and insert a part of it that can be shown.",
            when="`{{ table }}` in a question, where `str(table)` fails",
            given="class Table:\n    def __str__(self): raise OSError('file closed')\ntable = Table()",
        ),
        Case(
            f"{MODEL} --timeout 0.2\nName a river.",
            "`--timeout` stopped the answer. What had arrived is in the conversation.",
            "Give more seconds, or ask for a shorter answer.",
            when="an answer that takes longer than its `--timeout`",
            replies=lambda: [Reply([sse(chunk("The"), done=False), Hold()])],
            pick="timeout",
        ),
        Case(
            f"{MODEL}\nName another river.",
            "The cells of this session have used as many tokens as `max_tokens_per_notebook` allows.",
            "Raise the setting with `%config LLMMagics.max_tokens_per_notebook = …`; `%llm usage` shows what used them.",
            when="`%%llm`, after `%config LLMMagics.max_tokens_per_notebook = 5`",
            given=f"%config LLMMagics.max_tokens_per_notebook = 5\n{ANSWERED}",
            replies=lambda: [answer()],
            pick="Error",
        ),
        Case(
            f"{MODEL} --code\nName a river.",
            "`--code` inserts the fenced Python blocks of the answer, and this answer has none.",
            "Ask for Python code in a fenced block.",
            when="`--code`, and an answer without Python code",
            replies=lambda: [answer()],
            pick="code",
        ),
        Case(
            f"{INSERT}\n{NO_KERNEL}",
            "The cell ran before and got the same code, which is in the cell that it inserted then.",
            "Run that cell. If you deleted it, run this one once more.",
            when="`--code` in a cell that runs again, with the same answer",
            given=f"{KERNEL}\n{INSERT}",
            replies=lambda: [answer(CODE), answer(CODE)],
            pick="code",
        ),
        Case(
            f"{INSERT}\n{NO_KERNEL}",
            "The cell ran before and got other code. A kernel can insert a cell, but can't change or delete one.",
            "Delete the cell with the old code.",
            when="`--code` in a cell that runs again, with another answer",
            given=f"{KERNEL}\n{INSERT}",
            replies=lambda: [answer(CODE), answer(CODE.replace("6", "9"))],
            pick="code",
        ),
    ],
)

OPTIONS = Group(
    "Options of `%%llm`",
    [
        Case(
            "%%llm --modle local\nName a river.",
            "`%%llm` has no such option. Options go on the first line; the question starts on the second.",
            "Correct the option; `%%llm?` lists all of them.",
            when="`%%llm --modle local`",
        ),
        Case(
            "%%llm -s 'Be brief\nName a river.",
            "A quote is opened and never closed.",
            "Close it, or leave it out.",
            when="`%%llm -s 'Be brief`",
        ),
        Case(
            "%%llm --fresh -c work\nName a river.",
            "`--fresh` asks without any conversation, `-c` within one.",
            "Leave one of them out.",
            when="`%%llm --fresh -c work`",
        ),
        Case(
            "%%llm -o math\nName a river.",
            "The answer would replace an imported module.",
            "Choose another name.",
            when="`%%llm -o math`, after `import math`",
            given="import math",
        ),
        Case(
            "%%llm -o 2nd\nName a river.",
            "`-o` takes the name of a Python variable.",
            "Choose a name of letters, digits and underscores that doesn't start with a digit.",
            when="`%%llm -o 2nd`",
        ),
        Case(
            "%%llm -o print\nName a river.",
            "The answer would hide a built-in function of Python, or a variable that IPython maintains.",
            "Choose another name.",
            when="`%%llm -o print`",
        ),
        Case(
            "%%llm --timeout 0\nName a river.",
            "An answer needs some time.",
            "Give more than 0 seconds, or leave the option out to wait as long as it takes.",
            when="`%%llm --timeout 0`",
        ),
        Case(
            f"{MODEL} --max-tokens 0\nName a river.",
            "The value is outside of what the setting allows.",
            "Give a value in the range that the message names.",
            when="`%%llm --max-tokens 0`",
        ),
        Case(
            f"{MODEL} -t ,\nName a river.",
            "`-t` needs the name of a tool.",
            "Name one; `%llm tools` lists what the notebook has.",
            when="`%%llm -t ,`",
        ),
        Case(
            f"{MODEL} -t deepth\nHow deep is it?",
            "The notebook has no function or tool of this name, but one with a similar name.",
            "Correct the name.",
            when="`%%llm -t deepth`, where the notebook has `depth`",
            given="def depth(): return 11",
        ),
        Case(
            f"{MODEL} -t rivers\nHow deep is it?",
            "The notebook has no function or tool of this name.",
            "Run the cell that defines it; `%llm tools` lists what the notebook has.",
            when="`%%llm -t rivers`",
        ),
        Case(
            f"{MODEL} -t depth\nHow deep is it?",
            "The name belongs to something that a model can't call. The second half of the message says what is wrong.",
            "Name a function, or a tool; see [Tools](tools.md).",
            when="`%%llm -t depth`, where `depth` is a number",
            given="depth = 11",
        ),
        Case(
            f"{MODEL} --tool-choice required\nHow deep is it?",
            "There is nothing to choose from: the cell names no tools.",
            "Add `-t NAME`.",
            when="`%%llm --tool-choice required`",
        ),
        Case(
            f"{MODEL} --as None\nName a river.",
            "`--as` takes the type of the object that you want.",
            "Name a pydantic model or another type, or leave the option out to get text.",
            when="`%%llm --as None`",
        ),
        Case(
            f"{MODEL} --as list[\nName a river.",
            "The option takes a Python expression, and this text isn't one.",
            "Correct it. Put quotes around an expression with spaces.",
            when="`%%llm --as list[`",
        ),
        Case(
            f"{MODEL} --as 3\nName a river.",
            "The value isn't a type, or is one that JSON can't describe.",
            "Name a pydantic model, or a type such as `list[str]`.",
            when="`%%llm --as 3`",
        ),
        Case(
            f"{MODEL} -i 3\nWhat is this?",
            "`-i` takes a picture, and this value isn't one.",
            "Give the path or the address of one, a figure, an image or an array of pixels.",
            when="`%%llm -i 3`",
        ),
    ],
)

COMMANDS = Group(
    "Commands of `%llm`",
    [
        Case(
            "%llm reset",
            "`%llm` has no such command, but one that does what other programs call by this name.",
            "Use it.",
        ),
        Case("%llm trees", "`%llm` has no such command, but one with a similar name.", "Correct it."),
        Case("%llm translate", "`%llm` has no such command.", "Choose one that the message lists."),
        Case(
            "%llm openai",
            "This is a provider, not a command.",
            "Ask with a cell that begins with `%%llm`, or list the provider's models.",
        ),
        Case(
            "%llm replay:answers.json",
            "This is a recording, not a command.",
            "Ask with a cell that begins with `%%llm`.",
        ),
        Case(
            "%llm Name a long river",
            "`%llm` runs commands; `%%llm` asks.",
            "Begin the cell with `%%llm` and put the question below.",
        ),
        Case(
            "%llm",
            "`%llm` alone lists its commands, as `%llm help` does.",
            "Choose one. To ask a model, begin a cell with `%%llm`.",
            pick="^[^ %]",
        ),
        Case("%llm history work 3", "The command takes fewer words.", "Write it as the message shows."),
        Case('%llm history "work', "A quote is opened and never closed.", "Close it, or leave it out."),
        Case("%llm models opnai", "No provider has this name.", "Correct it."),
        Case("%llm history work", "No cell has asked in a chat of this name.", "`%llm chats` lists those that exist."),
        Case(
            "%llm explain",
            "No cell has failed in this session.",
            "Run the cell whose error you want explained, then this command.",
            given="import sys\nif hasattr(sys, 'last_value'): del sys.last_value",
        ),
        Case("%llm history", "The conversation is empty.", "Ask something first."),
        Case("%llm chats", "No cell has asked yet.", "Ask something first."),
        Case("%llm usage", "No cell has used tokens yet.", "Ask something first."),
        Case("%llm trace", "No answer has been traced yet.", "Ask something first."),
        Case("%llm alias", "No aliases are set.", "Name a model with `%llm alias NAME PROVIDER:MODEL`."),
        Case(
            "%llm forget",
            "This confirms what the command did.",
            "Nothing. The next cell starts a new conversation.",
            given=ANSWERED,
            replies=lambda: [answer()],
        ),
        Case(
            "%%llm -m openai:gpt-5-mini --dry-run\nAnd the next one?",
            "`--dry-run` shows what a question would send. Here the conversation is longer than `max_context`.",
            "Nothing, or raise `%config LLMMagics.max_context = …`.",
            when="`%%llm --dry-run`, after `%config LLMMagics.max_context = 30`",
            given=f"%config LLMMagics.max_context = 30\n{ANSWERED.replace('Name a river.', 'Name a river. ' * 20)}",
            replies=lambda: [answer()],
            pick="max_context|tokens",
        ),
        Case("%llm alias fast", "The command has a name, and no model for it.", "Write both, as the message shows."),
        Case(
            "%llm alias local openai:gpt-5",
            "The name of a provider can't be an alias, nor a name with a colon.",
            "Choose another name.",
        ),
        Case(
            "%llm alias fast openai:gpt-5 --url x",
            "The model is followed by something other than the two options.",
            "Write it in the form that the message shows.",
        ),
        Case(
            "%llm alias fast gpt-5",
            "An alias names a provider and its model.",
            "Put the provider before it, as in `openai:gpt-5`.",
        ),
        Case(
            "%llm alias mine local --base-url http://example.com",
            "The model runs on this machine and is reached without an address or a key.",
            "Leave the options out.",
        ),
        Case(
            "%llm alias fast openai:gpt-5 --key-variable sk-123",
            "The option takes the name of an environment variable. A key in a notebook is easily published.",
            "Set the variable outside the notebook and give its name.",
        ),
        Case(
            "%llm alias fast openai:gpt-5 --base-url example.com",
            "The address has no scheme or no host.",
            "Write it like `https://example.com/v1`.",
        ),
        Case(
            "%llm alias fast openai:gpt-5 --base-url https://ada:secret@example.com",
            "An address with a password would be saved in the notebook.",
            "Set the key as an environment variable and add `--key-variable NAME`.",
        ),
        Case(
            "%%llm -m fast\nName a river.",
            "The alias names an environment variable that isn't set.",
            "Set it where you start Jupyter, then restart the kernel.",
            when="`%%llm -m fast`, after `%llm alias fast openai:gpt-5 --key-variable FAST_KEY`",
            given="%llm alias fast openai:gpt-5 --key-variable FAST_KEY",
        ),
        Case(
            "try:\n    get_ipython().run_line_magic('load_ext', 'mojentic_nb')\n"
            "finally:\n    del get_ipython().magics_manager.magics['cell']['llm']",
            "Another extension has registered a magic of the same name.",
            "Set another name for this one, then load it again.",
            when="`%load_ext mojentic_nb`, with another extension's `%%llm`",
            given="%unload_ext mojentic_nb\ndef theirs(line, cell): pass\ntheirs.__module__ = 'cellmage'\n"
            "get_ipython().register_magic_function(theirs, 'cell', 'llm')",
        ),
        Case(
            "try:\n    get_ipython().run_line_magic('load_ext', 'mojentic_nb')\nfinally:\n    del get_ipython().config.LLMMagics",
            "A setting in IPython's configuration has a value that it can't have.",
            "Correct it in the configuration file, or as the message shows, then load the extension again.",
            when="`%load_ext mojentic_nb`, with `c.LLMMagics.max_context = 0` in the configuration",
            given="%unload_ext mojentic_nb\nget_ipython().config.LLMMagics.max_context = 0",
        ),
    ],
)

GROUPS = [QUESTION, OPTIONS, COMMANDS]
