"""The quickstart in a real JupyterLab, with a real kernel, in a real browser."""

from __future__ import annotations

import re

from lab import ASK, ASK_AGAIN, CHECK, LOAD, PYTHON, Lab


def test_the_answer_grows_while_the_cell_runs_and_every_cell_runs(lab: Lab):
    lab.open("01_quickstart.ipynb")
    lab.run_all()
    answer = lab.cell(ASK).locator(".mnb .mnb-md").first
    answer.wait_for(state="attached")
    lab.show(ASK)

    first = answer.inner_text()
    lab.page.wait_for_function(
        "([answer, first]) => answer.innerText.length > first.length", arg=[answer.element_handle(), first]
    )
    second, still_running = answer.inner_text(), lab.running(ASK)
    lab.wait_until_done(ASK)

    assert still_running
    assert len(first) > 0
    assert second.startswith(first[: len(first) // 2])
    assert len(second) > len(first)
    assert len(lab.text(ASK)) > len(second)
    assert re.search(r"local:SmolLM2-135M-Instruct · \d+ tokens in, \d+ out · ", lab.text(ASK))
    lab.wait_until_done(CHECK)
    assert "local:SmolLM2-135M-Instruct" in lab.text(ASK_AGAIN)
    assert len(lab.text(PYTHON)) > 40
    assert lab.text(CHECK).strip() == "All is there."
    assert lab.page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.stderr']").count() == 0


def test_the_toolbars_stop_keeps_the_answer_and_later_cells_run(lab: Lab):
    lab.open("01_quickstart.ipynb")
    lab.run(LOAD)
    lab.wait_until_done(LOAD)
    lab.run(ASK)
    answer = lab.cell(ASK).locator(".mnb .mnb-md").first
    answer.wait_for()
    before = answer.inner_text()

    lab.page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    lab.wait_until_done(ASK)

    assert lab.text(ASK).startswith(before)
    assert re.search(r"stopped after ≈?\d+ tokens", lab.text(ASK))
    assert "Traceback" not in lab.text(ASK)
    lab.run(ASK_AGAIN)
    lab.wait_until_done(ASK_AGAIN)
    assert "local:SmolLM2-135M-Instruct" in lab.text(ASK_AGAIN)
