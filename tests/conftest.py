"""Fixtures that several test modules share: one training for the session, and folders to publish it into."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import venv
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler.loadscope import LoadScopeScheduling

from artifact_pipeline.cli import main
from artifact_pipeline.cli.github import append_summary
from artifact_pipeline.registry import repeating
from artifact_pipeline.reports.markdown import escape, table
from artifact_pipeline.runtime import TELEMETRY_VARIABLE, pin_numerics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserType

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.training.sealed import Candidate

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "v1"
ON_GITHUB = os.environ.get("GITHUB_ACTIONS") == "true"
TOKEN = secrets.token_hex(16)
"""What ends that the runner obeys nothing; no test knows it."""

# As in an activated environment: `python` and `artifact-pipeline` are those of these tests.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# Before NumPy is loaded, as every door does it: the published bytes depend on the kernel.
pin_numerics()

# jsonschema imports it where it is there: two seconds, for a grammar of addresses that no schema here asks for.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# The machine that runs the tests is shared and slow at times; a law is about values, not about speed. `make test-slow`
# runs the laws again with `--hypothesis-profile=thorough`.
settings.register_profile("laws", deadline=None, derandomize=True, max_examples=25)
settings.register_profile("thorough", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("laws")

# What a module needs that requirements.txt does not bring; `@pytest.mark.needs(…)` says it of a single test.
NEEDS = {
    "property/test_tables_laws.py": "pandas",
    "test_benchmarks.py": "uvicorn",
    "test_browser.py": "playwright",
    "test_browser_form.py": "playwright",
    "test_cluster.py": "distributed",
    "test_object_store.py": "moto",
    "test_oci.py": "urllib3",
    "test_oci_clients.py": "urllib3",
    "test_oci_kept.py": "urllib3",
    "test_oci_wire.py": "urllib3",
    "test_outputs.py": "model_signing",
    "test_package.py": "pandas",
    "test_promotion.py": "urllib3",
    "test_proxy.py": "cryptography",
    "test_remote.py": "urllib3",
    "test_report_browser.py": "axe_playwright_python",
    "test_signing.py": "model_signing",
    "test_storage.py": "moto",
    "test_trust.py": "model_signing",
    "test_workflow_files.py": "ruamel",
}
ONE_WORKER = {"test_container.py"}
"""Files whose fixture takes a minute: with `--dist loadgroup` it is made once."""
# In CI nothing is left out: what is missing there is a failure.
collect_ignore = [] if os.environ.get("CI") else [name for name, needed in NEEDS.items() if find_spec(needed) is None]


class _FilesTogether(LoadScopeScheduling):
    """Tests go to whichever worker is free, but those of a file with one dear fixture go to one worker.

    pytest-xdist's own `xdist_group` does not reach pytest 9.2: it writes into what the name of a test no longer is.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.rpartition("/")[2] in ONE_WORKER else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Keep some files together where tests are handed out by groups."""
    return _FilesTogether(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a package which is not installed."""
    if os.environ.get("CI"):
        return
    lacking = {
        item
        for item in items
        for mark in item.iter_markers("needs")
        if any(find_spec(name) is None for name in mark.args)
    }
    if lacking:
        config.hook.pytest_deselected(items=list(lacking))
        items[:] = [item for item in items if item not in lacking]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in `tmp_path`, with no login of the user, and without waiting between two tries."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(repeating, "FIRST_PAUSE", 0.0)
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run a verb in this process with `--json`: its status, and what it says."""

    def call(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        status = main([*map(str, arguments), "--json"])
        return status, json.loads(capsys.readouterr().out)

    return call


@pytest.fixture(scope="module")
def browsers() -> Iterator[BrowserType]:
    """What starts the browser of this system."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(browsers: BrowserType) -> Iterator[Browser]:
    """A browser for the tests of one module."""
    from browsing import launched

    with launched(browsers) as browser:
        yield browser


@pytest.fixture(scope="session")
def candidate() -> Candidate:
    """The documented config, trained once for the session."""
    from artifact_pipeline.config import load_config
    from artifact_pipeline.training.candidate import train

    return train(load_config(ROOT / "config" / "config.json"), progress=lambda _: None)


@pytest.fixture(scope="module")
def of_digits(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Verified:
    """The artifact of the documented config, where only a module's tests know it."""
    from rowfiles import publish_digits

    return publish_digits(candidate, tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Verified:
    """An artifact of a table whose labels are words."""
    from rowfiles import train_words

    return train_words(tmp_path_factory.mktemp("words"))


@pytest.fixture
def published(candidate: Candidate, tmp_path: Path) -> Path:
    """A folder in which the documented config has been published: artifact, artifacts/, model_train.pkl."""
    from artifact_pipeline.training.publication import publish

    publish(candidate, artifact=tmp_path / "artifact", export=tmp_path / "model_train.pkl")
    return tmp_path


@pytest.fixture(scope="session")
def candidate_1() -> Candidate:
    """The documented config, trained once for the session and described as format 1."""
    import format1
    from artifact_pipeline.config import load_config

    return format1.train(load_config(ROOT / "config" / "config.json"))


@pytest.fixture
def published_1(candidate_1: Candidate, tmp_path: Path) -> Path:
    """A folder in which the documented config has been published as format 1."""
    from artifact_pipeline.training.publication import publish

    publish(candidate_1, artifact=tmp_path / "artifact", export=tmp_path / "model_train.pkl")
    return tmp_path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a clone holds that the doors need: src/ and config/."""
    return check_out(tmp_path)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which `python src/train.py` has run, once for the session; nobody changes it."""
    folder = check_out(tmp_path_factory.mktemp("trained"))
    assert run_python("src/train.py", cwd=folder).returncode == 0
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    """A checkout of its own in which `python src/train.py` has run."""
    return shutil.copytree(trained_once, tmp_path, symlinks=True, dirs_exist_ok=True)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python process in `tmp_path`: its output as text, its status in `returncode`."""
    return partial(run_python, cwd=tmp_path)


def check_out(folder: Path) -> Path:
    for name in ("src", "config"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def install(root: Path) -> Path:
    """Give a checkout the environment that `make` gives it, `.venv`: these packages, its own one, and the script."""
    environment = root / ".venv"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "checkout.pth").write_text(f"{root / 'src'}\n{sysconfig.get_path('purelib')}\n")
    script = environment / "bin" / "artifact-pipeline"
    start = "import sys\nfrom artifact_pipeline.cli import main\nsys.exit(main())\n"
    script.write_text(f"#!{environment}/bin/python\n{start}")
    script.chmod(0o755)
    return root


def run_python(
    *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    # A user's environment, without what a test runner or this process has put there.
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.endswith("_THREADS") and not key.startswith("GITHUB_")
    }
    for name in ("OPENBLAS_CORETYPE", TELEMETRY_VARIABLE):
        kept.pop(name, None)
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**kept, "COLUMNS": "200", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """In a job of GitHub Actions: nothing that a test prints, or is called, is a command to the runner."""
    if ON_GITHUB:
        _log(session.config, f"::stop-commands::{TOKEN}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let the runner obey commands again."""
    if ON_GITHUB:
        _log(config, f"::{TOKEN}::")


def _log(config: pytest.Config, line: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):  # a worker of pytest-xdist prints nothing itself
        reporter.ensure_newline()
        reporter.write_line(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out; in a job of GitHub Actions also write the job's page."""
    missing = sorted({name for name in NEEDS.values() if find_spec(name) is None})
    if missing:
        terminalreporter.write_line(
            f"left out, since {', '.join(missing)} are not installed: {', '.join(sorted(collect_ignore))}, and tests "
            "in other files; pip install -r requirements-dev.txt brings them"
        )
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if file:
        append_summary(Path(file), tests_page(terminalreporter.stats))


def tests_page(stats: dict[str, list[pytest.TestReport]]) -> str:
    """Passed, failed and slowest tests as Markdown."""
    calls = [report for report in stats.get("passed", []) if report.when == "call"]
    failed = [*stats.get("failed", []), *stats.get("error", [])]
    slowest = sorted(calls, key=lambda report: report.duration, reverse=True)[:10]
    return "\n\n".join(
        [
            f"## Tests: {len(calls):,} passed, {len(failed):,} failed, {len(stats.get('skipped', [])):,} skipped",
            *([table(["failed"], [[escape(report.nodeid)] for report in failed])] if failed else []),
            "### Slowest",
            table(["test", "seconds"], [[escape(report.nodeid), f"{report.duration:.2f}"] for report in slowest]),
            "",
        ]
    )
