"""Look before the doors open: is this Python new enough, and are the packages there?

This file and the doors parse under every Python since 2.7, so that an old one gets a sentence and not a traceback.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OLDEST = (3, 11)


def check(packages):
    """Raise ImportError with one sentence where the door cannot open; put the package's folder on the path."""
    if sys.version_info[:2] < OLDEST:
        raise ImportError(
            "Python %d.%d or newer is needed, this is %d.%d: start it with a newer one, or use make run"
            % (OLDEST + tuple(sys.version_info[:2]))
        )
    if HERE not in sys.path:
        sys.path.insert(0, HERE)
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ImportError(
            "the package%s %s %s not installed: run pip install -r %s"
            % (
                "s" if len(missing) > 1 else "",
                ", ".join(missing),
                "are" if len(missing) > 1 else "is",
                os.path.join(ROOT, "requirements.txt"),
            )
        )


BASE = ("click", "msgspec", "numpy", "onnxruntime", "pyarrow", "pydantic", "rich")
TRAIN = BASE + ("sklearn", "onnx", "threadpoolctl")
