"""What every part of an artifact is made of: strict, frozen types, written as canonical JSON.

msgspec and not pydantic, which the config uses: it reads the same types in a tenth of the start-up and a tenth of the
memory, and every `verify` and `predict` pays for it.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from msgspec import Meta, Struct, json, to_builtins

from artifact_pipeline.canonical import canonical_json, spells
from artifact_pipeline.errors import ArtifactRejected, Problem

NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 4 * MAX_FILE_BYTES
"""Of all files together, since a reader holds them in memory."""
_MAX_JSON_BYTES = 16 << 20
"""Of a part in JSON, which takes twenty times its size to parse; a manifest within its bound describes less."""
DECIMALS = 6
"""Metrics and golden probabilities are rounded, since their last bits depend on batch and processor."""

Digest = Annotated[str, Meta(pattern=r"\Asha256:[0-9a-f]{64}\Z")]
ModelName = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
Text = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Share = Annotated[float, Meta(ge=0, le=1)]
Loss = Annotated[float, Meta(ge=0)]


class Frozen(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the artifact; an unknown field is refused, and nothing can be changed.

    Each part says `frozen=True` again, since mypy does not see that it is inherited.
    """

    def canonical(self) -> bytes:
        """The canonical JSON of this part."""
        return canonical_json(self.plain())

    def plain(self) -> dict[str, Any]:
        """Dicts, lists and scalars."""
        value: dict[str, Any] = to_builtins(self)
        return value

    @classmethod
    def parse(cls, data: bytes, *, place: str, rule: str) -> Self:
        """Parse the canonical JSON of such a part; `place` and `rule` are those of the problem.

        Raises:
            ArtifactRejected: too large, not canonical JSON, or a field that breaks its type.
        """
        message = f"larger than {_MAX_JSON_BYTES:,} bytes"
        if len(data) <= _MAX_JSON_BYTES:
            try:
                part = json.decode(data, type=cls)
                if spells(data, part.plain()):
                    return part
                message = "not in canonical form (a whole number where a fraction belongs is 1.0, not 1)"
            except ValueError as error:  # msgspec's ValidationError is one
                message = str(error)[:200]
        raise ArtifactRejected(f"{place} is not valid", problems=[Problem(place, rule, message)])
