"""What a tool displays in a real kernel: it stays in the tool's card, and the model is shown it."""

from __future__ import annotations

from .conftest import Frontend

CELL = """
import matplotlib
from matplotlib import pyplot as plt
%matplotlib inline
view = LiveView()

def plot():
    plt.plot([1, 2])
    plt.show()
    display({"text/plain": "a table"}, raw=True)
    fig, ax = plt.subplots()
    return fig

broker = asking([*call("plot"), CALLS], [*text("Well."), END])
run = broker.astream(QUESTION, [plot])
await view.ashow(run)
(message,) = [message for message in run.messages if message.role.value == "tool"]
"""


def test_what_a_tool_displays_is_in_its_card(frontend: Frontend):
    frontend.run(CELL)
    shown = frontend.of("display_data")
    saved = frontend.saved()["text/html"]
    frontend.run("print([message.content], len(message.image_paths))\ndisplay('after')")

    assert len(shown) == 1
    assert saved.count('<img src="data:image/png') == 2
    assert frontend.printed() == "['[image 1]\\n\\n[printed]\\n[displayed image]\\na table'] 2\n"
    assert "after" in str(frontend.of("display_data"))
