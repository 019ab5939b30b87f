"""The summary of a model, or of a training, that a notebook shows: HTML without a script, every text escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from artifact_pipeline.errors import listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.artifact.manifest import Manifest

_BOX = "border:1px solid #8888;border-radius:6px;padding:.75em 1em;max-width:46em;color:inherit;background:none"
_CELL = "text-align:left;padding:.15em 1em .15em 0;vertical-align:top;white-space:normal;background:none;border:0"
_TABLE = "border:0;color:inherit;font:inherit"  # a page without a doctype inherits neither
_NUMBER = f"{_CELL};font-variant-numeric:tabular-nums"
_CODE = "font-family:monospace;overflow-wrap:anywhere;background:none;color:inherit"
_SHOWN = 12
"""Classes and columns that are named at most."""


def html_summary(manifest: Manifest, digest: str, *, facts: Mapping[str, str] | None = None) -> str:
    """Return the summary of an artifact; every text of it is escaped.

    It takes all colours from the page, so that it is readable on a light and on a dark one.

    Args:
        manifest: the artifact's manifest.
        digest: the artifact digest.
        facts: the texts of more rows, such as how a training ended, by their heads.
    """
    held_out, gate = manifest.metrics.held_out, manifest.gate
    verdict = f"{'✓' if gate and gate.verdict == 'passed' else '✗'} gate {gate.verdict if gate else 'missing'}"
    rows = {
        **{name: _text(words) for name, words in (facts or {}).items()},
        "artifact digest": f'<code style="{_CODE}">{_text(digest)}</code>',
        "majority share": f"{held_out.majority_share:.4f}, the accuracy of always answering "
        f"{_text(held_out.majority.label)}",
        "classes": _text(listing([str(each) for each in manifest.model.classes], _SHOWN)),
        "columns": _text(listing([each.name for each in manifest.model.inputs], _SHOWN)),
    }
    head = f"<strong>{_text(manifest.name)}</strong> · {_text(manifest.model.estimator)} · {_text(verdict)}"
    table = f'<table style="margin:.5em 0 0;{_TABLE}"><tbody>{"".join(map(_row, rows, rows.values()))}</tbody></table>'
    return f'<div style="{_BOX}"><p style="margin:0 0 .5em">{head}</p>{_figures(manifest)}{table}</div>'


def _text(value: object) -> str:
    """Return text escaped for HTML; characters that cannot be seen are shown by their code points."""
    return escape("".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(value)))


def _row(name: str, cell: str) -> str:
    head = f'<th scope="row" style="{_CELL};white-space:nowrap">{escape(name)}</th>'
    return f'<tr>{head}<td style="{_CELL}">{cell}</td></tr>'


def _figures(manifest: Manifest) -> str:
    """The figures on the held-out rows, with their intervals."""
    held_out = manifest.metrics.held_out
    heads = ("", "value", "95 % interval")
    figures = {"accuracy": held_out.accuracy, "F1 weighted": held_out.f1_weighted}
    lines = "".join(
        f'<tr><th scope="row" style="{_CELL}">{name}</th><td style="{_NUMBER}">{each.value:.4f}</td>'
        f'<td style="{_NUMBER}">{each.low:.4f} to {each.high:.4f}</td></tr>'
        for name, each in figures.items()
    )
    top = "".join(f'<th scope="col" style="{_CELL}">{head}</th>' for head in heads)
    caption = f'<caption style="text-align:left;color:inherit">{held_out.rows:,} held-out rows</caption>'
    return f'<table style="margin:0;{_TABLE}">{caption}<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>'
