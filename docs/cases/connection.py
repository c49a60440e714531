"""Messages about connections, limits and answers that were cut."""

# ruff: noqa: E501 (a cell is shown as it is written)
from __future__ import annotations

from loopback import Cut, Hold, Reply, chunk, completion, sse

from cases import Case, Group
from cases.models import ASK, refused

IMPATIENT = "OpenAIGateway(timeout=Timeout(connect=5, read=0.2, stall=0.2))"
ASK_ONCE = f"list(LLMBroker('gpt-5-mini', {IMPATIENT}, max_retries=0).stream(QUESTION))"
ONCE = "list(LLMBroker('gpt-5-mini', OpenAIGateway(), max_retries=0).stream(QUESTION))"
BUSY = {"retry-after-ms": "100"}


def paused() -> Reply:
    """A message of Claude's that pauses, as while it searches the web."""
    events = [
        {"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {}}},
        {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}, "usage": {}},
        {"type": "message_stop"},
    ]
    return Reply([sse(*events, done=False)])


CONNECTION = Group(
    "Connection and rate limits",
    [
        Case(
            ONCE,
            "You sent more requests or tokens than the provider allows in this time, or used up your quota.",
            "Wait as long as the provider says. For a used-up quota, add credit.",
            when="a rate limit that stays after two retries",
            replies=lambda: [refused(429, "Rate limit reached for gpt-5-mini.", "rate_limit_exceeded")],
        ),
        Case(
            "%%llm -m openai:gpt-5-mini\nName a river.",
            "The provider couldn't answer, so the request is being sent again.",
            "Nothing. If this repeats, the error above follows.",
            when="a failure that may be over in a moment",
            replies=lambda: [
                Reply([b'{"error": {"message": "Overloaded"}}'], 503, "application/json", BUSY),
                Reply([completion("The Nile.")]),
            ],
            pick="retry",
        ),
        Case(
            ONCE,
            "The provider's server failed.",
            "Ask again in a few minutes; look at the provider's status page.",
            when="an error of the provider's server",
            replies=lambda: [refused(500, "The server had an error.")],
        ),
        Case(
            ONCE,
            "The provider gave up on this request, often because it is busy.",
            "Ask again.",
            when="a request that the provider gave up",
            replies=lambda: [refused(408, "Request timed out.")],
        ),
        Case(
            "%%llm -m openai:gpt-5-mini\nName a river.",
            "No server answers at the address.",
            "Start it, or correct the base URL.",
            when="a server that isn't running",
            given="os.environ['OPENAI_BASE_URL'] = 'http://127.0.0.1:9/v1'",
            pick="^Provider.*Error",
        ),
        Case(
            ASK_ONCE,
            "The provider took longer to begin its reply than the gateway's `Timeout.read`.",
            "Ask again, or give the gateway more time; see [Gateways](gateways.md).",
            when="a provider that doesn't answer",
            replies=lambda: [Reply([Hold()], status=None)],
        ),
        Case(
            ONCE,
            "The server closed the connection instead of replying.",
            "Ask again in a few minutes.",
            when="a server that closes the connection",
            replies=lambda: [Reply([], status=None)],
        ),
        Case(
            ASK_ONCE,
            "Nothing arrived for as long as the gateway's `Timeout.stall`.",
            "Ask again. What had arrived is in `error.partial`.",
            when="a reply that stops in the middle",
            replies=lambda: [Reply([sse(chunk("The"), done=False), Hold()])],
        ),
        Case(
            ONCE,
            "The connection was lost while the reply arrived.",
            "Ask again. What had arrived is in `error.partial`.",
            when="a connection that is lost in the middle of a reply",
            replies=lambda: [Reply([sse(chunk("The"), done=False), Cut()])],
        ),
        Case(
            ONCE,
            "The provider ended its reply without saying that the answer is complete.",
            "Ask again. What had arrived is in `error.partial`.",
            when="a reply that ends early",
            replies=lambda: [Reply([sse(chunk("The"), done=False)])],
        ),
        Case(
            "ScriptedGateway([[TextDelta('The')]]).complete('script', QUESTION)",
            "The provider ended its reply without saying that the answer is complete.",
            "Ask again.",
            when="`gateway.complete()`, and a reply that ends early",
        ),
        Case(
            ONCE,
            "The provider accepted the request, but sent nothing.",
            "Ask again.",
            when="a reply without an answer",
            replies=lambda: [Reply([b": keep-alive\n\n"])],
        ),
        Case(
            ONCE,
            "The provider refused the request; its own words follow.",
            "Correct what they name.",
            when="a request that the provider refuses",
            replies=lambda: [refused(400, "Invalid 'messages[0].content'.")],
        ),
        Case(
            ONCE,
            "The provider reported an error in the middle of its reply.",
            "Ask again; its own words say more.",
            when="an error in the middle of a reply",
            replies=lambda: [Reply([sse(chunk("The"), {"error": {"message": "Overloaded"}}, done=False)])],
        ),
        Case(
            ONCE,
            "The server ended the answer with a reason that means failure.",
            "Ask again.",
            when="an answer that ends with the reason `error`",
            replies=lambda: [Reply([sse(chunk("The"), chunk(finish_reason="error"))])],
        ),
        Case(
            "list(LLMBroker('gpt-5', OpenAIGateway(api='responses'), max_retries=0).stream(QUESTION))",
            "OpenAI's Responses API reported a failure without words.",
            "Ask again.",
            when="a response that OpenAI calls failed",
            replies=lambda: [Reply([sse({"type": "response.failed", "response": {"status": "failed"}}, done=False)])],
        ),
        Case(
            ONCE,
            "Question and conversation together are longer than the model's context.",
            "Ask in a new conversation (`--fresh`), lower `max_context`, or use a model with a larger context.",
            when="a conversation that is too long for the model",
            replies=lambda: [refused(400, "Your input exceeds the context window.", "context_length_exceeded")],
        ),
        Case(
            ONCE,
            "The provider can't make this model answer with such an object.",
            "Simplify the type, or use another model.",
            when="an object's type that the provider refuses",
            replies=lambda: [refused(400, "Invalid schema for response_format 'Trip'.")],
        ),
        Case(
            "LLMBroker('gpt-5', OpenAIGateway()).generate([LLMMessage('\\ud83d')])",
            "The text holds half of a character that takes two, as from cutting a text in the middle of an emoji.",
            "Cut the text elsewhere, or remove it with `text.encode(errors='ignore').decode()`.",
            when="half an emoji in a message",
        ),
        Case(
            "import openai\ngateway = OpenAIGateway(client=openai.AsyncOpenAI())\nLLMBroker('gpt-5', gateway).generate(QUESTION)",
            "A gateway with an asynchronous client can't answer a synchronous method.",
            "Use `agenerate()` and the like, or pass a synchronous client.",
            when="`OpenAIGateway(client=openai.AsyncOpenAI())` and `broker.generate()`",
        ),
        Case(
            "OpenAIGateway(timeout=0)",
            "A time limit is positive.",
            "Give seconds, or `None` to wait as long as it takes.",
        ),
    ],
)


def finished(reason: str) -> Reply:
    """An answer that ends for that reason."""
    return Reply([sse(chunk("The"), chunk(finish_reason=reason))])


TOOL = "def depth(): return 11"
CALLED = "scripted(calls('depth'), calls('depth'), 'It is 11 m deep.')"

CUT = Group(
    "Answers that were cut",
    [
        Case(
            "%%llm -m openai:gpt-5-mini\nName a river.",
            "The answer reached the number of tokens that the model or `--max-tokens` allows.",
            "Raise `--max-tokens`, or ask for a shorter answer.",
            when="a `%%llm` answer that reaches its limit",
            replies=lambda: [finished("length")],
            pick="Note|gpt",
        ),
        Case(
            "%%llm -m openai:gpt-5-mini\nName a river.",
            "The provider stopped the answer because of its content.",
            "Rephrase the question, or ask another model.",
            when="a `%%llm` answer that the provider filters",
            replies=lambda: [finished("content_filter")],
            pick="Note|gpt",
        ),
        Case(
            "LiveView(view='text').show("
            + CALLED
            + ".stream(QUESTION, [depth], CompletionConfig(max_tool_iterations=1)))",
            "The model kept calling tools for as many rounds as `--max-steps` allows.",
            "Raise `--max-steps`, or ask for less at once.",
            when="a `%%llm` answer that reaches its limit of rounds",
            given=TOOL,
            pick="not run|Error",
        ),
        Case(
            "LiveView(view='text').show(scripted('The Nile is the longest.').stream(QUESTION, config=CompletionConfig(max_answer_chars=7)))",
            "The answer reached the number of characters that you allow.",
            "Raise the setting, or ask for a shorter answer.",
            when="an answer longer than `max_answer_chars`",
            pick="Note",
        ),
        Case(
            "print(scripted('The Nile is the longest.').generate(QUESTION, config=CompletionConfig(max_answer_chars=7)))",
            "The answer reached the number of characters that you allow. `generate()` returns the part that arrived.",
            "Raise the setting, or ask for a shorter answer.",
            when="`generate()`, and an answer longer than `max_answer_chars`",
            pick="Warning",
        ),
        Case(
            ASK,
            "The answer reached the number of tokens that the model or `max_tokens` allows.",
            "Raise `max_tokens`, or ask for a shorter answer.",
            when="`generate_stream()`, and an answer that reaches its limit",
            replies=lambda: [finished("length")],
            pick="Warning",
        ),
        Case(
            ASK,
            "The provider stopped the answer because of its content.",
            "Rephrase the question, or ask another model.",
            when="`generate_stream()`, and an answer that the provider filters",
            replies=lambda: [finished("content_filter")],
            pick="Warning",
        ),
        Case(
            CALLED + ".generate(QUESTION, [depth], CompletionConfig(max_tool_iterations=1))",
            "The model kept calling tools for as many rounds as you allow. `error.run.messages` has all of them.",
            "Raise `max_tool_iterations`, or ask for less at once.",
            when="`generate()`, and a model that doesn't stop calling tools",
            given=TOOL,
        ),
        Case(
            "LLMBroker('claude', AnthropicGateway()).generate(QUESTION, config=CompletionConfig(max_tool_iterations=1))",
            "Claude paused more often than `max_tool_iterations` allows, as it does while it searches the web.",
            "Raise `max_tool_iterations`, or ask for less at once.",
            when="a turn of Claude's that is paused again and again",
            replies=lambda: [paused(), paused()],
        ),
        Case(
            "async def main():\n    view = LiveView(view='text')\n    run = scripted('The Nile.').astream(QUESTION)\n"
            "    run.cancel()\n    await view.ashow(run)\nawait main()",
            "You stopped the answer with Stop, an interrupt or `run.cancel()`.",
            "Nothing. What had arrived is in the conversation.",
            when="an answer that was stopped",
            pick="tokens",
        ),
    ],
)

GROUPS = [CONNECTION, CUT]
