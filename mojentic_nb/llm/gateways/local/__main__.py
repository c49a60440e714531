"""``python -m mojentic_nb.llm.gateways.local fetch`` downloads the embedded model before its first use."""

from __future__ import annotations

import argparse
import sys

from mojentic_nb.llm.errors import LLMError

from . import MISSING_EXTRA, available
from .model_file import SMOLLM2


def main() -> None:
    """Run the command line; exit with status 1 and a message if the model can't be downloaded."""
    parser = argparse.ArgumentParser(prog="python -m mojentic_nb.llm.gateways.local", description=__doc__)
    parser.add_argument("command", choices=["fetch"], help="download the embedded model (93 MB), once")
    parser.parse_args()
    if not available():
        sys.exit(MISSING_EXTRA)
    try:
        print(SMOLLM2.path())
    except LLMError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
