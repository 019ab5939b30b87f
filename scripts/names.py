"""Check that each public class of the package has a name of its own: one name for one thing.

    python scripts/names.py [FOLDER]

It prints each name that two modules define, with both places, and exits with status 1; with 0 where there is none. By
default the folder is the package in `src/`. A class inside a class is named after that one, and is not compared.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "artifact_pipeline"


def main(arguments: list[str]) -> int:
    """Print the names that stand twice, and return the exit status."""
    folder = Path(arguments[0]) if arguments else PACKAGE
    places = defaultdict(list)
    for module in sorted(folder.rglob("*.py")):
        for node in ast.parse(module.read_text(encoding="utf-8"), str(module)).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{module.relative_to(folder)}:{node.lineno}")
    twice = {name: found for name, found in sorted(places.items()) if len(found) > 1}
    for name, found in twice.items():
        print(f"the class {name} stands in {' and '.join(found)}")
    return 1 if twice else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
