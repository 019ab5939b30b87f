"""Options of `serve` that variables of the environment give: a refusal names the variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.cli import main
from artifact_pipeline.cli.serving import serve
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "ARTIFACT_PIPELINE_SERVE_"
GOLDEN = str(ROOT / "tests" / "golden" / "v1")
ZERO = "sha256:" + "0" * 64
REFUSED = {
    "PORT": ("70000", 2),
    "HOST": ("nowhere.invalid", 2),
    "UDS": ("/dev/null", 2),
    "TLS_CERTIFICATE": ("nowhere.pem", 2),
    "TLS_KEY": ("nowhere.pem", 2),
    "WORKERS": ("none", 2),
    "MAX_BODY": ("8XB", 2),
    "TIMEOUT": ("0", 2),
    "KEEP_ALIVE": ("-1", 2),
    "CONNECTIONS": ("1000000000000", 2),
    "QUEUE": ("0", 2),
    "DRAIN": ("soon", 2),
    "GRACE": ("0", 2),
    "WINDOW": ("-1", 2),
    "FOLLOW": ("1", 2),
    "FEEDBACK": ("/dev/null", 8),
    "ALLOW_HOST": ("https://ml.example", 2),
    "PUBLIC_URL": ("ml.example", 2),
    "ACCESS_LOG": ("perhaps", 2),
    "EXPECT": (ZERO, 4),
    "ACCEPT_FAILED_GATE": ("perhaps", 2),
    "PUBLIC_KEY": ("nowhere.pub", 2),
    "POLICY": ("nowhere.json", 2),
    "SIGNATURE": ("nowhere.sig", 2),
}
"""For each option's variable a value that is refused, and by which exit status."""


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_variable(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What a variable gave is refused by the variable's name, in the sentence or in its hint, with the value."""
    value, status = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PREFIX + name, value)
    assert main(["serve", GOLDEN]) == status
    told = capsys.readouterr().err
    assert told.count("error: ") == 1
    assert f"{PREFIX}{name} is {value!r} in the environment" in told
    option = "--" + name.lower().replace("_", "-")
    assert option not in told.partition("\nhint: ")[0]


def test_each_variable_has_its_case() -> None:
    """There is a case for the variable of every option of its own that `serve` has."""
    options = {each.name.upper() for each in serve.params if each.param_type_name == "option" and each.name is not None}
    assert options - {"AS_JSON", "QUIET", "DEBUG"} == set(REFUSED)


@pytest.mark.parametrize("value", ["tcp://10.96.12.7:80", "udp://[fd00::1]:53", "sctp://10.96.12.7:9999"])
def test_a_service_of_kubernetes_is_recognised(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What Kubernetes sets for a Service of this name is refused by the variable's name, and with its mend."""
    for name, each in {
        "PORT": value,
        "SERVICE_HOST": "10.96.12.7",
        "SERVICE_PORT": "80",
        "PORT_80_TCP": value,
        "PORT_80_TCP_PROTO": "tcp",
        "PORT_80_TCP_PORT": "80",
        "PORT_80_TCP_ADDR": "10.96.12.7",
    }.items():
        monkeypatch.setenv(PREFIX + name, each)
    assert main(["serve", GOLDEN]) == 2
    told = capsys.readouterr().err
    assert f"invalid value for '{PREFIX}PORT': '{value}'" in told
    assert f"hint: enableServiceLinks: false in the pod's spec keeps Kubernetes from setting {PREFIX}PORT\n" in told


def test_an_option_that_is_typed_is_named_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two options, that which a variable gave is named by the variable, and that which was typed by itself."""
    monkeypatch.setenv(f"{PREFIX}EXPECT", ZERO)
    monkeypatch.setenv(f"{PREFIX}PORT", "tcp://10.96.12.7:80")
    assert main(["serve", GOLDEN, "--follow", "--port", "0"]) == 2
    assert f"error: --follow and {PREFIX}EXPECT contradict each other" in capsys.readouterr().err
    assert main(["serve", GOLDEN, "--expect", "sha256:1", "--port", "0"]) == 2
    told = capsys.readouterr().err
    assert "error: --expect: must be" in told
    assert PREFIX not in told


def test_a_number_names_no_variable_by_chance(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal that holds the number of another variable does not name that one."""
    monkeypatch.setenv(f"{PREFIX}WORKERS", "1")
    assert main(["serve", GOLDEN, "--expect", "sha256:1"]) == 2
    assert PREFIX not in capsys.readouterr().err
