"""What importing does, and does not do."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import mojentic_nb

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(mojentic_nb.__path__, "mojentic_nb.")
    if not name.endswith(("__main__", ".serve"))
]
NOTEBOOK = ["IPython", "ipywidgets", "traitlets", "anywidget", "mojentic_nb.display", "mojentic_nb.magics"]
ABOVE = [*NOTEBOOK, "mojentic_nb.tracer"]
SDKS = ["anthropic", "dateparser", "openai", "ollama", "httpx", "httpx2", "xllamacpp", "tqdm", "platformdirs"]

IMPORT = """
import importlib, logging, socket, sys
def forbidden(*_): raise AssertionError("an import that touches the network")
socket.socket.connect = forbidden
for module in {modules}:
    importlib.import_module(module)
    assert not logging.root.handlers, module
    found = [name for name in {unwanted} if name in sys.modules]
    assert not found, f"{{module}} imports {{found}}"
"""


def said_by_importing(modules: list[str], unwanted: list[str]) -> str:
    """What a program prints that imports them one after the other, and has then nothing `unwanted`."""
    program = IMPORT.format(modules=modules, unwanted=unwanted)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return result.stdout + result.stderr


def test_the_broker_imports_silently_and_no_notebook_and_no_sdk():
    modules = [name for name in MODULES if name.startswith("mojentic_nb.llm")]

    assert said_by_importing(modules, [*ABOVE, *SDKS]) == ""


def test_the_package_itself_is_light():
    assert said_by_importing(["mojentic_nb"], [*ABOVE, *SDKS, "pydantic"]) == ""


def test_the_notebooks_half_imports_silently_and_no_sdk():
    modules = [name for name in MODULES if not name.startswith("mojentic_nb.llm")]

    assert said_by_importing(modules, SDKS) == ""


# The package's face, which has the live view, is left out.
FACELESS = """
import importlib, sys, types
import mojentic_nb
sys.modules["mojentic_nb.display"] = display = types.ModuleType("mojentic_nb.display")
display.__path__ = [mojentic_nb.__path__[0] + "/display"]
for module in ("transcript", "render.text", "render.html"):
    importlib.import_module("mojentic_nb.display." + module)
print([name for name in {names} if name in sys.modules])
"""


def test_a_transcript_and_its_static_renderings_need_no_notebook():
    names = [name for name in [*ABOVE, *SDKS] if name != "mojentic_nb.display"]
    program = FACELESS.format(names=names)

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert told == "[]\n"


@pytest.mark.parametrize("name", ["mojentic_nb", *MODULES])
def test_all_names_are_there_and_public(name: str):
    module = importlib.import_module(name)

    assert sorted(module.__all__) == sorted(set(module.__all__))
    for public in module.__all__:
        assert hasattr(module, public)
        assert not public.startswith("_") or public == "__version__"


@pytest.mark.parametrize("name", ["mojentic_nb.llm", "mojentic_nb.llm.gateways", "mojentic_nb.llm.tools"])
def test_a_package_exports_every_public_name_that_it_imports(name: str):
    module = importlib.import_module(name)

    own = {key for key, value in vars(module).items() if not key.startswith("_") and not inspect.ismodule(value)}

    assert own == set(module.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_takes_of_others_what_they_name(name: str):
    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    package = importlib.util.find_spec(name).submodule_search_locations is not None
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or str(node.module).startswith("mojentic_nb.")):
            above = name.split(".")[: len(name.split(".")) + package - node.level] if node.level else []
            other = importlib.import_module(".".join(filter(None, [*above, node.module])))
            taken = {alias.name for alias in node.names if not inspect.ismodule(getattr(other, alias.name))}

            assert taken <= set(other.__all__)


MOJENTICS = {
    "llm": ["LLMBroker", "ChatSession", "CompletionConfig"],
    "llm.llm_broker": ["LLMBroker", "MaxToolIterationsExceededError"],
    "llm.completion_config": ["CompletionConfig"],
    "llm.chat_session": ["ChatSession"],
    "llm.message_composers": ["MessageBuilder", "FileTypeSensor"],
    "llm.gateways": ["OllamaGateway", "OpenAIGateway", "AnthropicGateway"],
    "llm.gateways.ollama": ["OllamaGateway", "StreamingResponse"],
    "llm.gateways.openai": ["OpenAIGateway"],
    "llm.gateways.anthropic": ["AnthropicGateway"],
    "llm.gateways.models": ["LLMMessage", "MessageRole", "LLMToolCall", "LLMGatewayResponse"],
    "llm.tools.llm_tool": ["LLMTool"],
    "llm.tools.date_resolver": ["ResolveDateTool"],
    "llm.tools.current_datetime": ["CurrentDateTimeTool"],
    "llm.tools.runner": ["AsyncParallelToolRunner", "SerialToolRunner"],
    "tracer": ["TracerSystem"],
    "tracer.tracer_system": ["TracerSystem"],
    "tracer.event_store": ["EventStore"],
    "tracer.tracer_events": [
        "LLMCallTracerEvent",
        "LLMResponseTracerEvent",
        "ToolBatchTracerEvent",
        "ToolCallTracerEvent",
        "TracerEvent",
    ],
}


@pytest.mark.parametrize(("module", "names"), MOJENTICS.items())
def test_what_mojentics_programs_import_is_where_they_look(module: str, names: list[str]):
    assert set(names) <= set(importlib.import_module(f"mojentic_nb.{module}").__all__)


def test_the_models_process_imports_nothing_of_the_package():
    serve = importlib.util.find_spec("mojentic_nb.llm.gateways.local.serve").origin

    with open(serve, encoding="utf-8") as source:  # noqa: PTH123
        tree = ast.parse(source.read())

    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names - set(sys.stdlib_module_names) == {"xllamacpp"}
