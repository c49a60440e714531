"""What the module of threads and event loops has of its own."""

from __future__ import annotations

from contextvars import ContextVar, copy_context

from mojentic_nb.llm.concurrency import set_to


def test_a_variable_is_restored_in_its_own_context_only():
    """The garbage collector ends an abandoned coroutine in whichever context it happens to run."""
    variable: ContextVar[tuple[str, ...]] = ContextVar("variable", default=())
    abandoned = set_to(variable, ("abandoned",))
    copy_context().run(abandoned.__enter__)

    with set_to(variable, ("mine",)):
        abandoned.__exit__(None, None, None)
        assert variable.get() == ("mine",)

    assert variable.get() == ()
