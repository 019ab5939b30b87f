"""Write what the config's JSON Schema says of each classifier's parameters, from the scikit-learn that is installed.

`python scripts/parameters.py` writes `src/artifact_pipeline/config/parameters.json`: of each classifier that can be
written its parameters, with types, bounds and defaults from scikit-learn's own constraints, and with descriptions from
its docstrings. So `schema` and `init` need no scikit-learn. A test compares the file with what this script gives.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import sklearn

from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.config.file_schema import PARAMETERS
from artifact_pipeline.training.estimators import estimator_class, parameter_schemas

ROOT = Path(__file__).resolve().parents[1]
_LONGEST = 240
"""Characters of a description, unless its first sentence is longer."""
_ELSEWHERE = re.compile(r":$|\b[Ss]ee\b|callable|\bmodule\b|sample_weight|multi-output|partial_fit|transform method")
"""What a sentence holds that leads to another page, or speaks of what a config has not."""


def text() -> str:
    """Return the file's text."""
    found = {name: _estimator(name) for name in WRITTEN if name != "LogisticRegression"}  # its keys have a type
    return json.dumps({"scikit-learn": sklearn.__version__, "estimators": found}, indent=1, ensure_ascii=False) + "\n"


def _estimator(name: str) -> dict[str, Any]:
    """Return what a classifier is and which parameters it has."""
    documentation = inspect.getdoc(estimator_class(name)) or ""
    described = _described(documentation)
    parameters = {
        key: {"title": key, "description": described[key], **schema} for key, schema in parameter_schemas(name).items()
    }
    return {"description": _shortened(_plain(_paragraph(documentation))), "parameters": parameters}


def _described(documentation: str) -> dict[str, str]:
    """Return the first sentences of each parameter's description in a docstring of numpydoc's form."""
    section = documentation.split("\nParameters\n----------\n")[1]
    section = re.split(r"\n\n?[A-Z][\w ]+\n-{3,}\n", section)[0]
    parts = re.split(r"^(\w+) : .*$", section, flags=re.MULTILINE)[1:]
    texts = zip(parts[::2], parts[1::2], strict=True)
    return {name: _shortened(_plain(_paragraph(inspect.cleandoc(words)))) for name, words in texts}


def _paragraph(words: str) -> str:
    """Return the first paragraph that is no directive and no list."""
    return re.split(r"\n\s*\n|\n\s*(?:\.\. |[-*] )", words.strip())[0]


def _plain(words: str) -> str:
    """Return text without the markup of docstrings, with the constants as JSON writes them."""
    words = re.sub(r":\w+:`~?(?:[\w.]*\.)?([^`<]+?)\s*(?:<[^`]*>)?`", r"\1", " ".join(words.split()))
    words = re.sub(r"`+([^`]*)`+_?", r"\1", words)
    for python, plain in {"None": "null", "True": "true", "False": "false"}.items():
        words = re.sub(rf"\b{python}\b", plain, words)
    return words


def _shortened(words: str) -> str:
    """Return the first sentences, as many as are short enough, without those that lead elsewhere."""
    first, *others = re.split(r"(?<=[a-z0-9)\"'][.!]) (?=[A-Z])", words)
    found = re.sub(r"(?:, possible values| can be| are)?[:,;]$", ".", first)
    for each in others:
        if len(found) + len(each) >= _LONGEST:
            break
        if not _ELSEWHERE.search(each):
            found += f" {each}"
    return found


def main() -> None:
    """Write the file."""
    PARAMETERS.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
