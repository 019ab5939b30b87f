"""The texts of a CSV become numbers, booleans among them; what cannot is a bad row, by its rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.rows.batches import Piece, Wanted, numbers_of
from artifact_pipeline.rows.faults import Faults
from artifact_pipeline.rows.limits import MAX_WHOLE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.matrix import Kind

SIGNED_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NUMBER = rf"(?i){SIGNED_NUMBER}|^[+-]?(nan(\([a-z0-9_]*\))?|inf|infinity)$"
"""What Arrow reads as a number; some of it is no finite one."""
WHOLE = r"^[ \t]*[+-]?[0-9]+[ \t]*$"
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
"""How a CSV writes booleans."""


def parse_texts(piece: Piece, wanted: Wanted, kinds: dict[str, Kind]) -> Piece:
    """The same rows, the text of each feature read as numbers; rows where that cannot be are broken ones.

    Args:
        piece: rows whose features are text, or numbers already.
        wanted: what is read of them.
        kinds: the kinds of the features as far as they are known; what these rows tell is added.
    """
    import pyarrow as pa

    faults = Faults(piece, wanted)
    names = piece.table.schema.names
    columns = dict(zip(names, piece.table.columns, strict=True))
    for name in wanted.features:
        if pa.types.is_string(columns[name].type):
            columns[name] = pa.array(_parsed(columns[name], name, faults, kinds))
        elif not len(piece.table):
            continue
        else:
            kinds.setdefault(name, "number")
    _refuse_lines(columns, faults)
    table = pa.RecordBatch.from_arrays(list(columns.values()), names)
    if wanted.learning:
        return replace(piece, table=table, firsts=faults.firsts())
    if not faults.found:
        return replace(piece, table=table)
    broken = sorted([*piece.broken, *faults.rejected()], key=lambda each: each.row)
    good = faults.good()
    return replace(piece, table=table.filter(pa.array(good)), numbers=numbers_of(piece)[good], broken=tuple(broken))


def _refuse_lines(columns: dict[str, pa.Array], faults: Faults) -> None:
    """Note labels of several lines that are none of the model's: quotes have joined rows, most likely."""
    import pyarrow as pa
    from pyarrow import compute

    wanted = faults.wanted
    name = wanted.keep[0] if wanted.learning else wanted.target
    if name in columns:
        lines = compute.match_substring_regex(columns[name], r"[\r\n]")
        if compute.any(lines).as_py():
            known = compute.is_in(columns[name], value_set=pa.array([*map(str, wanted.classes)], pa.string()))
            bad = compute.and_not(lines, known)
            faults.add(bad.to_numpy(zero_copy_only=False), name, "label-lines")


def _parsed(column: pa.Array, name: str, faults: Faults, kinds: dict[str, Kind]) -> NDArray[np.float64]:
    """Text as numbers, blanks around them allowed; NaN where it is none.

    Arrow reads them, all at once if it can. What it takes is `_NUMBER`, so that a text is read alike whatever stands
    beside it; a test compares the two.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    values = _cast(column) if kinds.get(name) != "boolean" else None
    if values is None:
        text = compute.utf8_trim(column.fill_null(""), " \t")
        empty = compute.equal(text, "")
        faults.add(empty.to_numpy(zero_copy_only=False), name, "missing")
        if _kind_of(text, name, kinds) == "boolean":
            return _booleans(text, name, faults)
        good = compute.match_substring_regex(text, _NUMBER)
        bad = compute.invert(compute.or_(good, empty))
        faults.add(bad.to_numpy(zero_copy_only=False), name, "not-a-number")
        column = compute.if_else(good, text, pa.scalar(None, pa.string()))
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    elif len(values):
        kinds.setdefault(name, "number")
    beyond = ~(np.abs(values) <= MAX_WHOLE)
    if beyond.any():
        faults.add(~np.isfinite(values) & column.is_valid().to_numpy(zero_copy_only=False), name, "not-finite")
        whole = compute.match_substring_regex(column.fill_null(""), WHOLE).to_numpy(zero_copy_only=False)
        faults.add(whole & beyond, name, "not-exact")
    return values


def _kind_of(text: pa.Array, name: str, kinds: dict[str, Kind]) -> Kind:
    """The kind of a column; where nothing has told it yet, its texts do."""
    import pyarrow as pa
    from pyarrow import compute

    if name not in kinds:
        told = text.filter(compute.not_equal(text, ""))
        if not len(told):
            return "number"
        every = compute.all(compute.is_in(told, value_set=pa.array([*TRUE, *FALSE]))).as_py()
        kinds[name] = "boolean" if every else "number"
    return kinds[name]


def _booleans(text: pa.Array, name: str, faults: Faults) -> NDArray[np.float64]:
    """Texts as 1 and 0, NaN where there is neither; where rows are answered, 1 and 0 themselves are read too."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    ones, zeros = (TRUE, FALSE) if faults.wanted.learning else ((*TRUE, "1", "1.0"), (*FALSE, "0", "0.0"))
    true, false = (compute.is_in(text, pa.array(each)).to_numpy(zero_copy_only=False) for each in (ones, zeros))
    neither = ~(true | false)
    faults.add(neither & compute.not_equal(text, "").to_numpy(zero_copy_only=False), name, "not-a-boolean")
    return np.where(neither, np.nan, true.astype(np.float64))


def _cast(column: pa.Array) -> NDArray[np.float64] | None:
    """Text as numbers, or None where some of it is none."""
    import pyarrow as pa

    try:
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values
