"""``%%llm`` asks a model from a cell; ``%llm`` shows and controls what cells ask.

A cell's way is one path: :func:`.options.parse` reads its line, :class:`.ask.Question` holds all that it asks, and
:class:`.ask.CellRun` sends it and shows the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Bunch, Dict, Enum, Int, TraitError, Unicode, validate

from mojentic_nb.display.surface import SURFACES
from mojentic_nb.llm import LLMError
from mojentic_nb.llm.providers import configured_name

from .ask import CellRun, Question
from .commands import run_command
from .notebook import MAIN, Chat, Notebook
from .options import CellOptions, Model, parse, with_options
from .preview import preview
from .prompt import PromptError, compose, read_image, read_type, resolve_tools
from .shell import Cells, render_in_one_line

__all__ = ["LLMMagics"]


@magics_class
class LLMMagics(Magics):
    """The magics that ask a language model."""

    model = Unicode(
        "",
        help="The model that %%llm asks: PROVIDER:MODEL or an alias. If empty, the environment variable "
        "MOJENTIC_NB_MODEL names it; otherwise it is a running Ollama's first model, or the embedded one.",
    ).tag(config=True)
    aliases = Dict(
        key_trait=Unicode(), value_trait=Unicode(), help="Names for models: {'fast': 'openai:gpt-5-mini'}."
    ).tag(config=True)
    system = Unicode("", help="The system message, unless -s gives one.").tag(config=True)
    view = Enum(SURFACES, "auto", help="How to show answers.").tag(config=True)
    approval = Enum(
        ("deny", "allow"), "deny", help="What to do with tool calls that need approval when no one can be asked."
    ).tag(config=True)
    max_context = Int(32768, min=1, help="The most tokens of a conversation to send.").tag(config=True)
    max_tokens_per_notebook = Int(
        0, min=0, help="The most tokens that this session may use in total; 0 sets no limit."
    ).tag(config=True)
    magic_name = Unicode("llm", help="The name of the magic, in case another extension uses %%llm.").tag(config=True)

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
        """Ask a language model. The answer streams into the cell.

        Everything below the %%llm line is the question, word for word. Only {{ expressions }} are replaced by their
        values. The model is PROVIDER:MODEL, one of

            local                    the embedded model, on this machine
            local:/path/model.gguf   any other GGUF file, on this machine
            ollama:qwen3:4b          a model of a running Ollama
            openai:gpt-5-mini        one of OpenAI's (OPENAI_API_KEY), or of the server at OPENAI_BASE_URL
            anthropic:claude-haiku-4-5    one of Anthropic's (ANTHROPIC_API_KEY)
            replay:answers.json      a recording by a RecordingGateway

        or an alias. Without -m it is the model that %config LLMMagics.model = "…" or the environment variable
        MOJENTIC_NB_MODEL names; otherwise a running Ollama's first model, or the embedded one.

        %llm on a line of its own takes commands. %llm help lists them.
        """
        if cell is None:
            return run_command(self, line)
        self.ask(parse(self.llm, line), cell)
        return None

    def ask(self, options: CellOptions, cell: str) -> None:
        """Show the answer to the question in `cell`."""
        with self._in_one_line():
            if run := self._run(options, cell):
                run.show()

    async def answer(self, line: str, cell: str) -> None:
        """Do what the cell magic does, awaited; see :mod:`mojentic_nb.magics.shell`."""
        with self._in_one_line():
            if run := self._run(parse(self.llm, line), cell):
                await run.ashow()

    def _run(self, options: CellOptions, cell: str) -> CellRun | None:
        """Return the run that asks; None after a dry run. Raises UsageError, PromptError and LLMError."""
        if not cell.strip():
            raise UsageError("The cell is empty. Write the question below the %%llm line.")
        question = self._question(options, cell)
        if options.dry_run:
            print(preview(question, self.max_context))
            return None
        return CellRun(question, self.notebook, self._shell)

    def _question(self, options: CellOptions, cell: str) -> Question:
        """Find everything that the cell asks."""
        self.notebook.ledger.limit = self.max_tokens_per_notebook
        key = self.cells.key(cell)
        chat = None if options.fresh else self.notebook.chats[options.chat or MAIN]
        model, gateway = self.notebook.connect(self.find_model(options.model), self.cells.label, self.max_context)
        names = self.namespace
        if options.out and isinstance(module := names.get(options.out), ModuleType):
            raise UsageError(f"-o {options.out} would replace the module `{module.__name__}`. Choose another name.")
        return Question(
            cell=key,
            model=model,
            gateway=gateway,
            history=tuple((chat or Chat()).history(key, options.system, self.system)),
            message=compose(cell.strip("\n"), names, [read_image(each, names) for each in options.images]),
            chat=chat,
            tools=resolve_tools(options.tools, names),
            object_model=read_type(options.as_, names),
            options=options,
            view="text" if options.raw else options.view or self.view,
            policy=self.approval,
        )

    @property
    def namespace(self) -> dict[str, Any]:
        """The user's variables."""
        names: dict[str, Any] = self._shell.user_ns
        return names

    def find_model(self, name: str | None) -> Model:
        """Find the model called `name`, or the default one, which has no name if none is set."""
        chosen = name or self.model or configured_name()
        return Model.read(chosen, self.aliases[chosen]) if chosen in self.aliases else Model(chosen)

    @validate("aliases")
    def _check_aliases(self, proposal: Bunch) -> dict[str, str]:
        for name, spec in proposal["value"].items():
            try:
                Model.read(name, spec)
            except UsageError as error:
                raise TraitError(str(error)) from error
        aliases: dict[str, str] = proposal["value"]
        return aliases

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        """Let IPython show errors that a user can fix in one line."""
        try:
            yield
        except (LLMError, PromptError, KeyboardInterrupt) as error:
            self.notebook.forget_found()
            render_in_one_line(self._shell, error)
            raise
