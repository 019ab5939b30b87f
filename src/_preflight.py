"""Look before the doors open: is this Python new enough, and are the packages there?

This file and the doors parse under every Python since 2.7, so that an old one gets a sentence and not a traceback.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OLDEST = (3, 11)
BASE = ("click", "msgspec", "numpy", "onnxruntime", "pyarrow", "pydantic", "rich")
TRAIN = BASE + ("sklearn", "joblib", "threadpoolctl")


def check(packages, name):
    """Say in one sentence why a door cannot open, if it cannot, and how to mend it.

    A door that is run (its `name` is `__main__`) ends with it and with status 1; one that is imported raises
    ImportError.
    """
    obstacle = system_obstacle()
    if not obstacle:
        if name == "__main__":
            exit_on_interrupt()
        obstacle = package_obstacle(packages)
    if obstacle and name == "__main__":
        sys.exit("error: " + obstacle)
    if obstacle:
        raise ImportError(obstacle)


def system_obstacle():
    """One sentence about the system or its Python, or None where both will do."""
    if os.name == "nt":
        return "Linux or macOS is needed, this is Windows: use the Windows Subsystem for Linux"
    if sys.version_info[:2] < OLDEST:
        return "Python %d.%d or newer is needed, this is %d.%d: start it with a newer one, or use make run" % (
            OLDEST + tuple(sys.version_info[:2])
        )
    return None


def package_obstacle(packages):
    """One sentence about the packages that are not installed, or None where all of them are."""
    from importlib.util import find_spec

    missing = [package for package in packages if find_spec(package) is None]
    if not missing:
        return None
    return "%s %s not installed for %s: run pip install -r %s in a virtual environment, or use make run" % (
        ", ".join(missing),
        "are" if len(missing) > 1 else "is",
        sys.executable,
        os.path.join(ROOT, "requirements.txt"),
    )


def exit_on_interrupt():
    """Let Ctrl-C end the process without a traceback while the rest is loaded; nothing has been written yet."""
    import _signal  # what `signal` is made of; that one would load some modules first

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, lambda *_: os._exit(130))
