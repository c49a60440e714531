"""The environment of the programs that this package starts: what they need, without the user's keys."""

from __future__ import annotations

import os
import re

__all__ = ["MODEL", "PIP", "environment"]

BASE = (
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|XDG_(?:CACHE|CONFIG|DATA)_\w+|VIRTUAL_ENV"
    r"|CONDA_PREFIX|PYTHON\w*|COVERAGE_\w+|LD_LIBRARY_PATH|DYLD_\w+"
    # Windows
    r"|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|USERPROFILE|HOMEDRIVE|HOMEPATH|(?:LOCAL)?APPDATA|PROGRAMDATA"
    r"|PROGRAMFILES\S*|NUMBER_OF_PROCESSORS|PROCESSOR_\w+"
)
# llama.cpp, what runs it on a GPU, and OpenMP.
MODEL = re.compile(rf"{BASE}|(?:GGML|CUDA|NVIDIA|HIP|HSA|ROCR|ROCM|VK|VULKAN|ONEAPI|SYCL|OMP|GOMP|KMP)_\w+")
PIP = re.compile(rf"{BASE}|(?:PIP|UV)_\w+|(?:HTTPS?|ALL|NO)_PROXY|SSL_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC")


def environment(needs: re.Pattern[str], **more: str) -> dict[str, str]:
    """Return this program's variables whose names, in capitals, match `needs`, and `more`."""
    return {name: value for name, value in os.environ.items() if needs.fullmatch(name.upper())} | more
