"""Columns that have types, in plain ones: a value that is stored once for many rows is copied, within a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.columns import check_types
from artifact_pipeline.rows.faults import unfit
from artifact_pipeline.rows.formats.opening import choose_columns
from artifact_pipeline.rows.limits import LARGEST
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from artifact_pipeline.rows.batches import Wanted


def choose_typed_columns(place: str, schema: pa.Schema, wanted: Wanted) -> tuple[list[str], tuple[str, ...]]:
    """The columns to read, as of `choose_columns`; their types are checked.

    A column that is kept must fit any format of output, and its size in memory must be known.

    Raises:
        DataRejected: a column is missing, or its type is another than it must be.
    """
    import pyarrow as pa

    columns, left_out = choose_columns(place, schema.names, wanted)
    check_types(place, pa.schema([(name, _plain_type(schema.field(name).type)) for name in columns]), wanted)
    kinds = {name: schema.field(name).type for name in wanted.keep}
    problems = [
        ("not-carried", f"column {name!r} holds {kind}, which is not carried through")
        for name, kind in kinds.items()
        if not _is_carried(kind)
    ]
    if problems:
        raise unfit(place, *problems)
    return columns, left_out


def _is_carried(kind: Any, *, within: bool = False) -> bool:
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _is_carried(kind.storage_type, within=within)
    if types.is_dictionary(kind):
        return not within and not types.is_nested(kind.value_type) and _is_carried(kind.value_type, within=True)
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return not within
    if types.is_struct(kind) or types.is_map(kind) or types.is_list(kind):
        return all(_is_carried(kind.field(at).type, within=True) for at in range(kind.num_fields))
    if types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_carried(kind.value_type, within=True)
    return not (types.is_nested(kind) or types.is_run_end_encoded(kind) or types.is_interval(kind))


def _plain_type(kind: Any) -> Any:
    """The type of the values of a dictionary, one type of text, and one of bytes."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def plain(place: str, table: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Some columns of a table that has been validated, in plain types.

    Raises:
        DataRejected: they would be too large.
    """
    import pyarrow as pa

    meant = sum(_meant(table.column(name)) for name in names)
    if meant > LARGEST:
        message = f"{table.num_rows:,} rows mean {meant:,} bytes; allowed are {LARGEST:,}"
        raise unreadable(place, message, rule="batch-too-large", hint="keep fewer columns, or shorter texts")
    columns = []
    for name in names:
        column = table.column(name)
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        kind = _plain_type(column.type)
        columns.append(column if kind == column.type else column.cast(kind))
    return pa.RecordBatch.from_arrays(columns, list(names))


def _meant(column: Any) -> int:
    """Bytes, at most, of a column whose values stand in several rows but once in memory; 0 for any other."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
        views = np.frombuffer(column.buffers()[1], np.int32)[4 * column.offset :][: 4 * len(column)]
        # Arrow has no kernel for it (26): the length is the first of a view's four numbers.
        return int(views[::4].sum(where=column.is_valid().to_numpy(zero_copy_only=False), dtype=np.int64))
    if not pa.types.is_dictionary(column.type):
        return 0
    kind, most = column.dictionary.type, int(len(column) * column.dictionary.nbytes)
    if most <= LARGEST:
        return most
    if pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        return int(len(column) * kind.bit_width // 8)
    return int(compute.sum(compute.binary_length(column.dictionary).take(column.indices)).as_py() or 0)
