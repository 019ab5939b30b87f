"""All benchmarks in one page, made from one file of figures; and what is reckoned from measured costs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from benchmarks import bench_all
from benchmarks.scale_model import PART, Costs, reckoned

from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SERIES = [{"what": "rows", "side": "ours", "unit": "CPU s", "values": [3.0, 1.0, 2.0]}]


def script(folder: Path, text: str) -> list[str]:
    """A benchmark of those lines, to which the place of its JSON is given last."""
    place = folder / "script.py"
    place.write_text(f"import json, sys\nfrom pathlib import Path\n{text}\n")
    return [sys.executable, str(place)]


def test_the_page_is_made_from_its_figures() -> None:
    """Of docs/benchmarks.md the last section is what the kept figures give, and every benchmark stands in it."""
    text, figures = bench_all.PAGE.read_text(), json.loads(bench_all.FIGURES.read_text())
    assert bench_all.page(text, figures) == text
    modules = {
        path.stem for path in (ROOT / "benchmarks").glob("*.py") if "add_json_option(parser)" in path.read_text()
    }
    assert set(bench_all.BENCHMARKS) == modules
    makefile = (ROOT / "Makefile").read_text()
    for name in bench_all.BENCHMARKS:
        assert f"\n### `make {bench_all.target(name)}`\n" in text
        assert f"\n{bench_all.target(name)}: " in makefile


def test_what_fails_is_named_and_the_others_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A benchmark that fails is named by its error, the next is measured, one that is not chosen stays as it was."""
    good = script(tmp_path, f"Path(sys.argv[-1]).write_text(json.dumps({{'series': {SERIES!r}}}))")
    place = tmp_path / "figures.json"
    bench_all.write({"search": {"failed": "not yet"}}, place)
    measured = bench_all.measured
    commands = {
        "benchmarks.spine": [sys.executable, "-c", "raise SystemExit('wrk is missing')"],
        "benchmarks.batch": good,
    }
    monkeypatch.setattr(bench_all, "measured", lambda command: measured(commands[command[2]]))
    monkeypatch.setattr(sys, "argv", ["bench_all", "--only", "spine", "batch", "--quick", "--figures", str(place)])
    with pytest.raises(SystemExit, match="spine was not measured: wrk is missing"):
        bench_all.main()
    kept = json.loads(place.read_text())
    assert (kept["spine"]["failed"], kept["search"]["failed"]) == ("wrk is missing", "not yet")
    assert kept["batch"]["series"] == SERIES
    said = capsys.readouterr().out
    assert "### `make bench`\n" in said
    assert "Not measured: wrk is missing" in said
    assert "| rows | ours | 2 (1 to 3) | 3 |" in said
    assert '`ARGS="--quick --runs 2 --sizes 100000"`' in said


@pytest.mark.parametrize(
    ("costs", "limit"),
    [
        (Costs(row=1e-6, start=2, opening=0, client=0, scheduler=0, read=500, requests=100), "workers"),
        (Costs(row=1e-6, start=2, opening=0, client=0, scheduler=0.01, read=500, requests=100), "scheduler"),
        (Costs(row=1e-6, start=2, opening=0.05, client=0, scheduler=0, read=500, requests=100), "client"),
    ],
)
def test_the_busiest_decides(costs: Costs, limit: str) -> None:
    """Of workers, scheduler and client the busiest is named; the time is the start's, the files' and its own."""
    found = reckoned(costs, 512, rows=954 * PART)
    assert found.limit == limit
    rounds = 2 * PART * costs.row  # 954 parts by 512 workers
    assert found.seconds == pytest.approx(2 + 954 * costs.opening + max(rounds, 954 * costs.scheduler))
    assert found.requests == pytest.approx(95_400 / found.seconds)
