"""Messages about models, providers, addresses and keys."""

from __future__ import annotations

from loopback import Reply, completion, json_reply

from cases import Case, Group

ASK = "print(''.join(LLMBroker('gpt-5-mini', OpenAIGateway()).generate_stream(QUESTION)))"
ASK_CLAUDE = "LLMBroker('claude-haiku-4-5', AnthropicGateway()).generate(QUESTION)"
ASK_OLLAMA = "LLMBroker('qwen3:4b', OllamaGateway()).generate(QUESTION)"


def refused(status: int, message: str, code: str = "") -> Reply:
    """An error as OpenAI reports it."""
    return json_reply({"error": {"message": message, "type": "invalid_request_error", "code": code or None}}, status)


def without(module: str, code: str) -> str:
    """Run `code` as where `module` isn't installed."""
    return (
        f"hidden = sys.modules.get({module!r})\nsys.modules[{module!r}] = None\n"
        f"try:\n    {code}\nfinally:\n    sys.modules[{module!r}] = hidden\n"
        f"    if hidden is None: del sys.modules[{module!r}]"
    )


MODELS = Group(
    "Models and providers",
    [
        Case(
            "%%llm -m opnai:gpt-5\nName a river.",
            "A model's name starts with its provider, and no provider has this name.",
            "Correct it.",
            when="`%%llm -m opnai:gpt-5`",
        ),
        Case(
            "%%llm -m openai\nName a river.",
            "The name has a provider, but no model.",
            "Add one; `%llm models openai` lists them.",
            when="`%%llm -m openai`",
        ),
        Case(
            "%%llm -m replay:\nName a river.",
            "`replay:` needs the path of a recording.",
            "Add it; [Recording and replaying](testing.md) shows how to make one.",
            when="`%%llm -m replay:`",
        ),
        Case(
            without("xllamacpp", "get_ipython().run_cell_magic('llm', '', 'Name a river.')"),
            "No model is named or set, no Ollama is running, and the embedded model isn't installed.",
            "Do one of the three things that the message lists.",
            when="`%%llm` without a model, where none is at hand",
            given="os.environ['OLLAMA_HOST'] = 'http://127.0.0.1:9'",
        ),
        Case(
            ASK,
            "The provider doesn't know the model, or your account can't use it.",
            "Check the spelling; `%llm models openai` lists what your key may use.",
            when="a model's name that OpenAI doesn't have",
            replies=lambda: [refused(404, "The model 'gpt-5-mini' does not exist.", "model_not_found")],
            pick="Error",
        ),
        Case(
            ASK_OLLAMA,
            "Ollama runs only models that were downloaded.",
            "Run the command that the message shows.",
            when="a model that Ollama hasn't downloaded",
            replies=lambda: [json_reply({"error": "model 'qwen3:4b' not found"}, 404)],
        ),
        Case(
            ASK,
            "OpenRouter has the model, but none of the servers behind it supports everything the request contains.",
            "Leave out tools, the object's type or special settings, or use another model.",
            when="an OpenRouter model that doesn't support tools",
            replies=lambda: [refused(404, "No endpoints found that support tool use.")],
            pick="Error",
        ),
        Case(
            ASK_OLLAMA,
            "No server answers at Ollama's address.",
            "Start Ollama, or correct the variable.",
            when="Ollama isn't running",
            given="os.environ['OLLAMA_HOST'] = 'http://127.0.0.1:9'",
        ),
        Case(
            "OllamaGateway('http://[ollama:11434')",
            "The address isn't one.",
            "Correct `OLLAMA_HOST`, or the `host` that you pass.",
        ),
        Case(
            without("anthropic", "AnthropicGateway()"),
            "Claude needs Anthropic's SDK, which isn't installed.",
            "Run the command that the message shows, then restart the kernel.",
            when="`AnthropicGateway()` or `%%llm -m anthropic:…`, without the SDK",
        ),
        Case(
            "LLMBroker('llama', object()).generate(QUESTION)",
            "The second argument of a broker is what talks to the provider.",
            "Pass a gateway such as `OpenAIGateway()`; [Gateways](gateways.md) lists them.",
            when="`LLMBroker('llama', object())`",
            pick="Error",
            given="class Thing:\n    __repr__ = lambda self: 'Thing()'\nobject = Thing",
        ),
        Case(
            "LLMBroker('gpt-5', OpenAIGateway).generate(QUESTION)",
            "The class is passed where an instance belongs.",
            "Add parentheses.",
        ),
        Case(
            "LLMBroker('m', Whole()).stream(QUESTION)",
            "The gateway can't stream this model, because it only has a method for whole answers.",
            "Use the method that the message names.",
            when="`stream()` with a gateway of your own that can't stream",
            given="class Whole:\n    __repr__ = lambda self: 'Whole()'\n    def complete(self, **_): ...\n"
            "    def stream(self, request): ...\n    def can_stream(self, model): return False",
        ),
        Case(
            "OpenAIGateway().get_available_models()",
            "The server's reply isn't a list of models.",
            "Check `OPENAI_BASE_URL`.",
            when="`%llm models openai`, with the address of another server",
            replies=lambda: [json_reply({"object": "list", "data": [1]})],
            pick="Error",
        ),
        Case(
            "print(LLMBroker('m', OpenAIGateway()).generate([LLMMessage('Look', image_paths=['map.png'])]))",
            "The model reads only text, so the request was sent again without the pictures.",
            "Ask a model that reads pictures.",
            when="a picture for a model that reads only text",
            given="Path('map.png').write_bytes(b'\\x89PNG\\r\\n\\x1a\\n')",
            replies=lambda: [refused(400, "m is not a multimodal model"), Reply([completion("Yes.")])],
            pick="Warning",
        ),
        Case(
            "print(LLMBroker('gpt-5', OpenAIGateway()).generate(QUESTION, config=CompletionConfig(temperature=0.2)))",
            "The model refuses this setting, so the request was sent again without it.",
            "Leave the setting out, or ask another model.",
            when="`temperature=0.2` for a model that has no such setting",
            replies=lambda: [
                refused(400, "Unsupported value: 'temperature' does not support 0.2 with this model."),
                Reply([completion("Yes.")]),
            ],
            pick="Warning",
        ),
    ],
)

KEYS = Group(
    "Keys and addresses",
    [
        Case(
            "OpenAIGateway()",
            "The provider needs a key, and the environment has none.",
            "Set the variable where you start Jupyter. Don't put the key into a cell.",
            when="`%%llm -m openai:…` or `OpenAIGateway()` without a key",
            given="del os.environ['OPENAI_API_KEY'], os.environ['OPENAI_BASE_URL']",
        ),
        Case(
            "OpenAIGateway('“sk-123”')",
            "Quotes or another character that no key contains were copied along.",
            "Copy the key again.",
        ),
        Case(
            ASK,
            "The key is wrong, or has expired.",
            "Copy a valid one from your account.",
            when="a key that OpenAI refuses",
            given="os.environ['OPENAI_BASE_URL'] = 'http://api.openai.com/v1'\nos.environ['HTTP_PROXY'] = URL",
            replies=lambda: [refused(401, "Incorrect API key provided.", "invalid_api_key")],
            pick="Error",
        ),
        Case(
            ASK,
            "The key is wrong, or belongs to another server.",
            "Set the one of this server, or pass it to the gateway.",
            when="a key that a compatible server refuses",
            replies=lambda: [refused(401, "Incorrect API key provided.", "invalid_api_key")],
            pick="Error",
        ),
        Case(
            ASK,
            "The key is valid, but may not use this model or endpoint.",
            "Ask the owner of the account to allow it, or use another model.",
            when="a key without permission for the model",
            replies=lambda: [refused(403, "Your project may not use this model.")],
            pick="Error",
        ),
        Case(
            "OpenAIGateway(base_url='api.example.com/v1')",
            "The address has no scheme.",
            "Write it like `https://api.example.com/v1`.",
        ),
        Case(
            ASK,
            "The server exists, but nothing answers at this path: the base URL is too short.",
            "Add what is missing, which for most servers is `/v1`.",
            when="a base URL without `/v1`",
            given="os.environ['OPENAI_BASE_URL'] = URL",
            replies=lambda: [json_reply({"detail": "Not Found"}, 404)],
            pick="Error",
        ),
        Case(
            ASK_CLAUDE,
            "The SDK adds `/v1` itself, so the base URL is too long.",
            "Shorten it as the message says.",
            when="a base URL with `/v1` for Anthropic",
            given="os.environ['ANTHROPIC_BASE_URL'] = URL + '/v1'",
            replies=lambda: [json_reply({"detail": "Not Found"}, 404)],
            pick="Error",
        ),
        Case(
            ASK,
            "The server exists, but nothing answers at this path.",
            "Compare the address with the provider's documentation.",
            when="a wrong base URL",
            replies=lambda: [json_reply({"detail": "Not Found"}, 404)],
            pick="Error",
        ),
        Case(
            ASK_OLLAMA,
            "The address leads to a server other than Ollama.",
            "Correct it.",
            when="`OLLAMA_HOST` with the address of another server",
            replies=lambda: [Reply([b"404 page not found"], 404, "text/plain")],
            pick="Error",
        ),
        Case(
            ASK,
            "The reply is a web page or another text, not a streamed answer.",
            "Check the base URL.",
            when="a base URL that leads to a web page",
            replies=lambda: [Reply([b"<html>Welcome</html>"], 200, "text/html")],
            pick="Error",
        ),
        Case(
            ASK,
            "The reply has the form of a stream, but isn't that of a model.",
            "Ask again; if it repeats, check the base URL.",
            when="a server that streams something else",
            replies=lambda: [Reply([b"data: Welcome!\n\n"])],
            pick="Error",
        ),
        Case(
            ASK,
            "The server redirects each request to itself, as a sign-in page does.",
            "Use the address of the API.",
            when="an address that redirects in a circle",
            replies=lambda: [Reply(status=307, headers={"location": "/v1/chat/completions"})] * 30,
            pick="Error",
        ),
        Case(
            ASK,
            "The server wants the request sent to another one, which you didn't name.",
            "If you trust that one, use its address; otherwise ask whoever runs the first.",
            when="an address that redirects to another server",
            replies=lambda: [Reply(status=308, headers={"location": "https://models.example.org/v1/chat"})],
            pick="Error",
        ),
        Case(
            ASK,
            "What answers at this address isn't a model's server.",
            "Use the address of the API.",
            when="a server that sends oversized headers",
            replies=lambda: [Reply([b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000], status=None)],
            pick="Error",
        ),
        Case(
            ASK,
            "What answers at this address doesn't speak HTTP, or speaks HTTPS where the address says `http`.",
            "Correct the port or the scheme.",
            when="`http://` with the port of an HTTPS server",
            replies=lambda: [Reply([b"\x15\x03\x03\x00\x02\x02\x50\r\n\r\n"], status=None)],
            pick="Error",
        ),
        Case(
            without("socksio", "OpenAIGateway()"),
            "The environment routes requests through a SOCKS proxy, which needs another package.",
            "Install it, or unset the variable.",
            when="`ALL_PROXY=socks5://…` in the environment",
            given="os.environ['ALL_PROXY'] = 'socks5://127.0.0.1:1080'",
        ),
        Case(
            "OpenAIGateway()",
            "`SSL_CERT_FILE` or `SSL_CERT_DIR` names a file that isn't there, or isn't readable.",
            "Correct or unset the variable.",
            when="`SSL_CERT_FILE=missing.pem` in the environment",
            given="os.environ['SSL_CERT_FILE'] = 'missing.pem'",
        ),
    ],
)

GROUPS = [MODELS, KEYS]
