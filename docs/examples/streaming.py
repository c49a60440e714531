"""Stream an answer as it arrives, and let the model call tools on the way, with OpenAI or Ollama.

    $ python docs/examples/streaming.py ollama qwen3:4b
    $ OPENAI_API_KEY=… python docs/examples/streaming.py openai gpt-5-mini

OPENAI_BASE_URL names another server that speaks OpenAI's API, and OLLAMA_HOST another machine.
"""

import sys

from mojentic_nb.llm import LLMBroker, LLMMessage, TextDelta, ToolCallEnd, ToolResult
from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.gateways import OllamaGateway, OpenAIGateway

GATEWAYS = {"openai": OpenAIGateway, "ollama": OllamaGateway}
PRICES = {"apple": 0.4, "pear": 0.55}


def price_of(fruit: str) -> float:
    """Look up what a fruit costs, in euros."""
    return PRICES[fruit]


def stream_text(broker: LLMBroker) -> None:
    """Print the text of an answer, piece by piece."""
    for piece in broker.generate_stream([LLMMessage("Name a fruit, and say why you like it.")], temperature=0.7):
        print(piece, end="", flush=True)
    print()


def stream_text_around_tools(broker: LLMBroker) -> None:
    """Print what the model says before and after it calls a tool: the broker runs the call and asks again."""
    question = [LLMMessage("What do an apple and a pear cost together?")]
    for piece in broker.generate_stream(question, [price_of]):
        print(piece, end="", flush=True)
    print()


def stream_events(broker: LLMBroker) -> None:
    """Print the calls and their results as well; the run says how it ended, and at what cost."""
    run = broker.stream([LLMMessage("What does a pear cost?")], [price_of])
    for event in run:
        match event:
            case TextDelta(delta):
                print(delta, end="", flush=True)
            case ToolCallEnd(call):
                print(f"[{call.name}({call.json_arguments()})", end="", flush=True)
            case ToolResult(output=output):
                print(f" = {output}]")
    print(f"\n{run.finish_reason}: {run.usage.input_tokens} tokens in, {run.usage.output_tokens} out")


def main() -> None:
    """Run the three with the provider and the model that the command line names."""
    provider, model = sys.argv[1:]
    broker = LLMBroker(model, GATEWAYS[provider]())
    try:
        stream_text(broker)
        stream_text_around_tools(broker)
        stream_events(broker)
    except LLMError as error:
        sys.exit(f"\n{error}")


if __name__ == "__main__":
    main()
