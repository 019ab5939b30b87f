"""The lock: whoever installs from it gets what it says, whatever has been published since, and with an old pip too."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def locked(file: str) -> dict[str, set[str]]:
    """The packages that a lock file pins for this Python, each with the extras that it pins them with."""
    heads = re.findall(r"^([^\s#].*?) *\\?$", (ROOT / file).read_text(), flags=re.MULTILINE)
    pins = [Requirement(head) for head in heads]
    assert all(re.fullmatch(r"==[^*,]+", str(pin.specifier)) for pin in pins)
    return {canonicalize_name(pin.name): pin.extras for pin in pins if pin.marker is None or pin.marker.evaluate()}


LOCKS = [
    "requirements.txt",
    "requirements-base.txt",
    "requirements-train.txt",
    "requirements-registry.txt",
    "requirements-serve.txt",
    "requirements-sign.txt",
    "requirements-dev.txt",
]


@pytest.mark.needs("moto")  # the packages of requirements-dev.txt are asked what they need
@pytest.mark.parametrize("file", LOCKS)
def test_an_extra_asked_for_is_pinned_with_its_package(file: str) -> None:
    """What one locked package asks of another, extras included, is in the lock.

    pip before 23.3, which Python 3.11 brings along, takes `pydantic[email]` for another package than `pydantic`,
    and so the newest one there is: a lock without the extra ends working on the day of the next release.
    """
    pins = locked(file)
    missing = {
        f"{name} needs {needed}"
        for name, extras in pins.items()
        for needed in map(Requirement, requires(name) or [])
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras or {""})
        if (found := pins.get(canonicalize_name(needed.name))) is None or not needed.extras <= found
    }
    assert len(pins) > 5
    assert missing == set()


def test_every_lock_is_a_part_of_the_largest() -> None:
    """The smaller locks install what is tested with requirements-dev.txt: the same versions of fewer packages."""
    pins = {
        file: set(re.findall(r"^([^\s#]\S*==\S+)", (ROOT / file).read_text(), flags=re.MULTILINE)) for file in LOCKS
    }
    base, train, run, dev = (
        pins[file] for file in ("requirements-base.txt", "requirements-train.txt", "requirements.txt", LOCKS[-1])
    )
    serve, sign = pins["requirements-serve.txt"], pins["requirements-sign.txt"]
    assert base < train < run
    assert base < serve < run
    assert {re.sub(r"\[.*\]", "", pin) for pin in base} < {re.sub(r"\[.*\]", "", pin) for pin in sign}
    assert sign < pins[LOCKS[-1]]
    assert {re.sub(r"\[.*\]", "", pin) for pin in run} < {re.sub(r"\[.*\]", "", pin) for pin in dev}
