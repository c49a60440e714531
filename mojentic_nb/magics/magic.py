"""``%%llm``: ask a model from a cell; ``%llm``: see and steer what cells ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Bunch, Dict, Enum, Int, TraitError, Unicode, validate

from mojentic_nb.display.surface import SURFACES
from mojentic_nb.llm import LLMError
from mojentic_nb.llm.providers import configured_name

from .ask import Answer, Question, asked_by
from .commands import preview, run_command
from .notebook import MAIN, Chat, Notebook
from .options import Model, Options, parse, with_options
from .prompt import PromptError
from .shell import Cells, render_in_one_line

__all__ = ["LLMMagics"]


@magics_class
class LLMMagics(Magics):
    """The magics that ask a language model."""

    model = Unicode(
        "",
        help="The model that %%llm asks: PROVIDER:MODEL or an alias. Empty takes the environment's MOJENTIC_NB_MODEL, "
        "else a running Ollama's first model, else the embedded one.",
    ).tag(config=True)
    aliases = Dict(
        key_trait=Unicode(), value_trait=Unicode(), help="Names for models: {'fast': 'openai:gpt-5-mini'}."
    ).tag(config=True)
    system = Unicode("", help="What models are told first, where no -s says otherwise.").tag(config=True)
    view = Enum(SURFACES, "auto", help="How answers are shown.").tag(config=True)
    approval = Enum(
        ("deny", "allow"), "deny", help="What becomes of a call that wants approval where nobody can be asked."
    ).tag(config=True)
    max_context = Int(32768, min=1, help="Tokens of a conversation that are sent at most.").tag(config=True)
    max_tokens_per_notebook = Int(0, min=0, help="Tokens that this session may use in all; 0 sets no limit.").tag(
        config=True
    )
    magic_name = Unicode("llm", help="The name of the magic, for where another extension has taken %%llm.").tag(
        config=True
    )

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell
        self.notebook = Notebook()
        for functions in self.magics.values():
            functions[self.magic_name] = functions.pop("llm")
        target = f"get_ipython().magics_manager.registry[{type(self).__name__!r}].answer"
        self.cells = Cells(shell, self.magic_name, target)

    @no_var_expand
    @with_options
    @line_cell_magic
    def llm(self, line: str, cell: str | None = None) -> Any:  # noqa: ANN401 (what a command shows)
        """Ask a language model; the answer streams into the cell.

        All below the %%llm line is the question, word for word, but for {{ expressions }}, which are replaced by their
        values. The model is PROVIDER:MODEL, one of

            local                    the embedded one, on this machine
            local:/path/model.gguf   any other GGUF file, on this machine
            ollama:qwen3:4b          one of a running Ollama
            openai:gpt-5-mini        one of OpenAI (OPENAI_API_KEY), or of the server at OPENAI_BASE_URL
            anthropic:claude-haiku-4-5    one of Anthropic (ANTHROPIC_API_KEY)
            replay:answers.json      what a RecordingGateway has recorded

        or an alias of one. Without -m it is the one set by %config LLMMagics.model = "…" or by the environment's
        MOJENTIC_NB_MODEL, else the first of a running Ollama, else the embedded one.

        %llm in a line of its own has commands: %llm help lists them.
        """
        if cell is None:
            return run_command(self, line)
        self.ask(parse(self.llm, line), cell)
        return None

    def ask(self, said: Options, cell: str) -> None:
        """Show the answer to what the cell asks."""
        with self._in_one_line():
            if answer := self._answer(said, cell):
                answer.show()

    async def answer(self, line: str, cell: str) -> None:
        """The same as a cell magic, awaited; see :mod:`mojentic_nb.magics.shell`."""
        with self._in_one_line():
            if answer := self._answer(parse(self.llm, line), cell):
                await answer.ashow()

    def close(self) -> None:
        """End the models that this session started."""
        self.notebook.close()

    @property
    def namespace(self) -> dict[str, Any]:
        """The user's variables."""
        names: dict[str, Any] = self._shell.user_ns
        return names

    def model_called(self, name: str | None) -> Model:
        """What the model's `name` stands for; None is the default one, which has no name if none is set."""
        chosen = name or self.model or configured_name()
        return Model.read(chosen, self.aliases[chosen]) if chosen in self.aliases else Model(chosen)

    @validate("aliases")
    def _checked(self, proposal: Bunch) -> dict[str, str]:
        for name, spec in proposal["value"].items():
            try:
                Model.read(name, spec)
            except UsageError as error:
                raise TraitError(str(error)) from error
        aliases: dict[str, str] = proposal["value"]
        return aliases

    def _answer(self, said: Options, cell: str) -> Answer | None:
        """The answer that is to be shown; None where nothing is to be sent.

        Raises UsageError, PromptError and LLMError.
        """
        if not cell.strip():
            raise UsageError("The cell is empty: write the question below the %%llm line.")
        question = self._question(said, cell)
        if said.dry_run:
            print(preview(question, self.max_context))
            return None
        view = "text" if said.raw else said.view or self.view
        return Answer(question, self.notebook, view, self._shell, self.approval)

    def _question(self, said: Options, cell: str) -> Question:
        """What the cell asks, and whom."""
        self.notebook.ledger.limit = self.max_tokens_per_notebook
        key = self.cells.key(cell)
        chat = None if said.fresh else self.notebook.chats[said.chat or MAIN]
        inputs = self._shell.history_manager.input_hist_parsed  # type: ignore[union-attr]
        number = f"In [{len(inputs) - 1}]"
        name, broker = self.notebook.broker(self.model_called(said.model), number, self.max_context)
        history = (chat or Chat()).history(key, said.system, self.system)
        return asked_by(said, cell.strip("\n"), self.namespace, name, broker, history, chat, key)

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        """Have IPython show the errors that a user can mend by their message alone."""
        try:
            yield
        except (LLMError, PromptError, KeyboardInterrupt) as error:
            self.notebook.forget_found()
            render_in_one_line(self._shell, error)
            raise
