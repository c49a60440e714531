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


LEFT_OPEN = """
from mojentic_nb.llm import tool

plt.plot([2, 1])
view = LiveView()

def leave_open(title):
    fig, ax = plt.subplots()
    ax.set_title(title)
    return "drawn"

@tool(sequential=True)  # pyplot isn't thread-safe
def fail():
    display(fig_of_mine)
    plt.figure().subplots().plot([1, 2])
    raise ValueError("no")

fig_of_mine = {"text/html": "<b>shown</b>", "text/plain": "shown"}
display_raw = display
def display(data):
    display_raw(data, raw=True)

broker = asking([*call("leave_open", title="a"), *call("fail"), CALLS], [*text("Well."), END])
run = broker.astream(QUESTION, [leave_open, fail])
await view.ashow(run)
first, second = [message for message in run.messages if message.role.value == "tool"]
cards = [block for block in view.transcript.state()["blocks"] if block["kind"] == "tool"]
"""


def test_figures_that_a_tool_leaves_open_are_in_its_card(frontend: Frontend):
    """So is what a tool displayed that failed; a figure of the cell's own stays the cell's."""
    frontend.run("from matplotlib import pyplot as plt\n%matplotlib inline\n" + LEFT_OPEN)
    below = frontend.of("display_data", "image/png")
    frontend.run("print([part['type'] for card in cards for part in card['display']])\nprint([first.content])")

    assert len(below) == 1
    assert frontend.printed() == "['text', 'image', 'html', 'image']\n['drawn\\n\\n[printed]\\n[displayed image]']\n"
    frontend.run("print(second.content, len(second.image_paths), plt.get_fignums(), cards[1]['error']['message'])")
    assert frontend.printed() == "ValueError: no\n\n[printed]\nshown\n[displayed image] 1 [] no\n"


NOT_KEPT = """
import asyncio, ipywidgets
from IPython.display import display
from matplotlib import pyplot as plt
%matplotlib inline
view = LiveView()

def show():
    sys.stdout.writelines(["one\\n", "two\\n"])
    display({"text/plain": "begun"}, raw=True, display_id="progress")
    display({"text/plain": "done"}, raw=True, display_id="progress", update=True)
    display(ipywidgets.Label("a widget"))
    return "shown"

async def meanwhile():
    display({"text/plain": "mine"}, raw=True)
    plt.plot([1, 2])
    (gates / "go").touch()

broker = asking([gates / "go", *call("show"), CALLS], [*text("Well."), END])
run = broker.astream(QUESTION, [show])
await asyncio.gather(view.ashow(run), meanwhile())
(message,) = [message for message in run.messages if message.role.value == "tool"]
"""


def test_widgets_and_what_the_cell_itself_displays_stay_outside_of_the_card(frontend: Frontend):
    """While the answer streams. Of what a tool displays and then updates, the model is shown the first version."""
    frontend.run(NOT_KEPT)
    assert len(frontend.of("display_data", "a widget")) == 1
    assert len(frontend.of("display_data", "'mine'")) == 1
    assert len(frontend.of("display_data", "image/png")) == 1
    assert "a widget" not in frontend.saved()["text/plain"]
    frontend.run("print([message.content], message.image_paths)")

    assert frontend.printed() == "['shown\\n\\n[printed]\\none\\ntwo\\nbegun'] None\n"
