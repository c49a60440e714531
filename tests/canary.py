"""Where a key may turn up that nobody is to see: in errors, their causes and the local variables of their frames."""

from __future__ import annotations

import json
import re
import traceback
from urllib.parse import quote

from IPython.core.ultratb import VerboseTB


def shown(error: BaseException) -> str:
    """All that a traceback of `error` can show, whoever prints it: IPython's is asked for in a test of its own."""
    chain, texts = error, []
    while chain is not None:
        texts += [str(chain), repr(chain), str(vars(chain))]
        chain = chain.__cause__ or chain.__context__
    return "".join([*texts, *traceback.TracebackException.from_exception(error, capture_locals=True).format()])


def verbose(error: BaseException) -> str:
    """What ``%xmode Verbose`` shows."""
    formatter = VerboseTB(include_vars=True, long_header=False)
    lines = formatter.structured_traceback(type(error), error, error.__traceback__)
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(lines))


def forms(key: str) -> list[str]:
    """`key` as it is, and as servers and files escape it."""
    codes = "".join(f"\\u{ord(letter):04x}" for letter in key)
    dashes = key.replace("-", "\\u002d")
    return [key, quote(key, safe=""), key.replace("-", "%2D"), codes, dashes, json.dumps(dashes)[1:-1]]
