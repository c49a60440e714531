"""``%%llm``: ask a model from a cell."""

from __future__ import annotations

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from traitlets import Unicode

from mojentic_nb.display import show
from mojentic_nb.llm import LLMBroker, LLMError, LLMMessage
from mojentic_nb.llm.gateways.providers import broker_for, default_name

__all__ = ["LLMMagics"]


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
        self._brokers: dict[str, LLMBroker] = {}
        self._default = ""

    @no_var_expand
    @magic_arguments()
    @argument(
        "-m",
        "--model",
        metavar="PROVIDER:MODEL",
        help="The model to ask, as in local, ollama:qwen3:4b or openai:gpt-5-mini.",
    )
    @cell_magic
    def llm(self, line: str, cell: str) -> None:
        """Ask a language model; the answer streams into the cell.

        The cell below this line is the question, word for word.
        """
        arguments = parse_argstring(self.llm, line)
        if not cell.strip():
            raise UsageError("The cell is empty: write the question below the %%llm line.")
        try:
            name, broker = self._broker(arguments.model or self.model)
            show(broker.stream([LLMMessage(content=cell.strip())]), name)
        except (LLMError, KeyboardInterrupt) as error:
            render_in_one_line(error)
            raise

    def close(self) -> None:
        """End the models that this session started."""
        for broker in self._brokers.values():
            if close := getattr(broker.adapter, "close", None):
                close()
        self._brokers.clear()

    def _broker(self, name: str) -> tuple[str, LLMBroker]:
        """The full name of the model called `name`, and its broker; "" is the default, found once a session."""
        if not name:
            name = self._default = self._default or default_name()
        broker = self._brokers.get(name)
        if broker is None:
            broker = self._brokers[name] = broker_for(name)
        return f"{name.partition(':')[0]}:{broker.model}", broker


def render_in_one_line(error: BaseException) -> None:
    """Have IPython show `error` by its message alone: it says what to do, and a traceback into this package does not.

    IPython asks an exception for `_render_traceback_` before it formats one.
    """
    kind = type(error).__name__
    lines = [f"{kind}: {error}"] if str(error) else [kind]
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]
