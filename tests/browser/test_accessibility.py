"""The live view and the saved answer keep the rules of axe-core, in JupyterLab's light theme and in its dark one."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from livelab import LiveLab
from playwright.sync_api import Locator, expect

SAID = """\
# Title

Some *text*, `code`, a [link](https://example.org), ![a picture](https://example.org/x.png), $a^2$.

- [x] one
- [ ] two

| a | b |
|:--|--:|
| 1 | 2 |

```python
@cached  # of two
def twice(x: int) -> str:
    return f"{x * 2}" + str(None)
```

> Quoted.
"""
ANSWER = f"""
import pandas
tools = [
    PacedTool('good', {{'a': 1, 'b': [None, 'x', True]}}), PacedTool('bad', ValueError('no')),
    PacedTool('table', pandas.DataFrame({{'a': [1, 2]}})), PacedTool('refused', 'gone'),
    PacedTool('slow', 'done', gates / 'slow'),
]
view = LiveView('paced:one')
broker = asking(
    [*call('good', x=1), *call('bad', y='z'), *call('table'), CALLS],
    [*reasoning('Hm, *hard*.'), *text({SAID!r}), *call('refused', path='/x'), *call('slow', x=1), CALLS],
    [*reasoning('So.'), *text('The end'), StepFinish('length')],
)
await view.ashow(broker.astream(QUESTION, tools, approve=lambda call: call.name != 'refused' or view.approve(call)))
"""


def violations(live: LiveLab, scope: Locator) -> list[str]:
    """What axe-core has against the page within `scope`, which is shown in full."""
    scope.evaluate(
        """scope => {
            scope.scrollIntoView(); // what is far from the window is not laid out
            for (const fold of scope.querySelectorAll("details")) fold.open = true;
            scope.dataset.checked = "";
            // JupyterLab's body has no height, so that axe takes all in it for clipped, and sees no colours.
            document.body.style.overflow = "visible";
        }"""
    )
    found = Axe().run(live.page, context="[data-checked]").response
    scope.evaluate("scope => delete scope.dataset.checked")
    assert "color-contrast" in {rule["id"] for rule in (*found["passes"], *found["violations"])}
    return [
        f"{rule['id']}: {node['html'][:200]} {' '.join(node['failureSummary'].split())}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])  # the last stays
def test_axe_finds_no_violation(live: LiveLab, theme: str):
    live.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    expect(live.page.locator(f"body[data-jp-theme-name='{theme}']")).to_have_count(1)
    index = live.cell_running(ANSWER)
    view = live.view(index)
    expect(view.locator("[data-state=approval]")).to_have_count(1, timeout=60_000)  # pandas is imported first
    asking = violations(live, view)
    view.get_by_role("button", name="Deny").click()
    expect(view.locator("[data-state=denied]")).to_have_count(1)
    running = violations(live, view)
    live.open_gate("slow")
    live.wait_until_done(index)
    expect(live.view(index)).to_have_count(0)

    found = [*asking, *running, *violations(live, live.output(index))]
    assert not found, "\n".join(found)
