"""``%%llm``: ask a model from a cell."""

from __future__ import annotations

from pathlib import Path

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from traitlets import Unicode

from mojentic_nb.display import printable, show
from mojentic_nb.llm import LLMBroker, LLMError, LLMMessage
from mojentic_nb.llm.gateways import LocalGateway
from mojentic_nb.llm.gateways.providers import broker_for, configured_name, found_name

__all__ = ["LLMMagics"]


def unquoted(text: str) -> str:
    """`text` without the quotes around it, which IPython leaves in an argument of a magic."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


@magics_class
class LLMMagics(Magics):
    """The magics that ask a language model."""

    model = Unicode(
        "",
        help="The model that %%llm asks: PROVIDER:MODEL. Empty takes the environment's MOJENTIC_NB_MODEL, "
        "else a running Ollama's first model, else the embedded one.",
    ).tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._local: dict[Path, LocalGateway] = {}
        self._found = ""

    @no_var_expand
    @magic_arguments()
    @argument(
        "-m",
        "--model",
        metavar="PROVIDER:MODEL",
        type=unquoted,
        help="The model to ask, as in local, ollama:qwen3:4b or openai:gpt-5-mini.",
    )
    @cell_magic
    def llm(self, line: str, cell: str) -> None:
        """Ask a language model; the answer streams into the cell.

        All below the %%llm line is the question, word for word. The model is PROVIDER:MODEL, one of

            local                    the embedded one, on this machine
            local:/path/model.gguf   any other GGUF file, on this machine
            ollama:qwen3:4b          one of a running Ollama
            openai:gpt-5-mini        one of OpenAI (OPENAI_API_KEY), or of the server at OPENAI_BASE_URL
            anthropic:claude-haiku-4-5    one of Anthropic (ANTHROPIC_API_KEY)

        Without -m it is the one set by %config LLMMagics.model = "…" or by the environment's MOJENTIC_NB_MODEL, else
        the first of a running Ollama, else the embedded one.
        """
        try:
            arguments = parse_argstring(self.llm, line)
        except ValueError as error:  # a quote that nothing closes
            raise UsageError(f"The %%llm line can't be read: {error}.") from error
        except UsageError as error:
            raise UsageError(f"{error}. The question goes below the %%llm line; %%llm? lists its options.") from error
        if not cell.strip():
            raise UsageError("The cell is empty: write the question below the %%llm line.")
        try:
            name, broker = self._broker(arguments.model or self.model or configured_name())
            show(broker.stream([LLMMessage(content=cell.strip("\n"))]), name)
        except (LLMError, KeyboardInterrupt) as error:
            self._found = ""
            render_in_one_line(error)
            raise

    def close(self) -> None:
        """End the models that this session started."""
        for gateway in self._local.values():
            gateway.close()
        self._local.clear()

    def _broker(self, name: str) -> tuple[str, LLMBroker]:
        """The full name of the model called `name`, and a broker for it; "" is the one found at hand.

        A model on this machine stays loaded from cell to cell. A gateway to a server is made anew for each, so that a
        key or an address that was changed in the environment counts at once.
        """
        if not name:
            name = self._found = self._found or found_name()
        broker = broker_for(name)
        if isinstance(broker.adapter, LocalGateway):
            broker.adapter = self._local.setdefault(broker.adapter.model_path, broker.adapter)
        return f"{name.partition(':')[0].strip()}:{broker.model}", broker


def render_in_one_line(error: BaseException) -> None:
    """Have IPython show `error` by its message alone: it says what to do, and a traceback into this package does not.

    IPython asks an exception for `_render_traceback_` before it formats one.
    """
    kind = type(error).__name__
    lines = [printable(f"{kind}: {error}" if str(error) else kind)]
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]
