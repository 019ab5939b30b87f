"""The data sets and panels that come with the package, each a plug-in: the one module that knows where one stands.

A plug-in is named here and imported only when it is asked for; nothing else imports it. To add a data set, write a
`BuiltIn` and name its place in `_PLACES`; to add a panel of the server's page, write what `panel` returns, and name it
in `_PANELS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

DataSetName = Literal["digits", "iris", "wine", "breast_cancer"]
NAMES: tuple[DataSetName, ...] = get_args(DataSetName)
_PLACES: dict[str, str] = {
    "digits": "artifact_pipeline.digits.dataset.DIGITS",
    "iris": "artifact_pipeline.samples.tables.IRIS",
    "wine": "artifact_pipeline.samples.tables.WINE",
    "breast_cancer": "artifact_pipeline.samples.tables.BREAST_CANCER",
}
_PANELS: dict[str, str] = {"digits": "artifact_pipeline.digits.panel.panel"}
PANELS = tuple(_PANELS)


class PictureRecipe(Protocol):
    """Makes a row of a data set from a picture."""

    def __call__(self, data: bytes, *, place: str) -> NDArray[np.float64]:
        """Return the row, float64 of shape (features,), of a PNG or JPEG file's bytes; `place` names it in a refusal.

        Raises:
            DataRejected: the picture cannot be decoded, or does not show what the rows are of.
        """
        ...


class Pictures(Protocol):
    """Draws rows of a data set, and anything that has a value for each of its columns, as pictures."""

    def row(self, values: NDArray[np.float64]) -> bytes:
        """Return a PNG of one row, float64 of shape (features,)."""
        ...

    def signed(self, values: NDArray[np.float64], greatest: float) -> bytes:
        """Return a PNG of a value for each column, from `-greatest` to `greatest`, 0 in the middle of the colours."""
        ...


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A data set that comes with the package.

    Attributes:
        name: what a config, a receipt and the rows call it.
        features: its columns, in their order.
        classes: how many labels it has.
        digest: what `load().digest()` gives, for callers that need nothing else of NumPy.
        file: where its rows stand; a receipt holds the digest of this file.
        load: returns its `rows.matrix.Rows`, with labels.
        shape: of a row that is a picture, such as (8, 8); empty where a row is not one.
        row_of_picture: makes a row of a picture; None where its rows are no pictures.
        pictures: draws rows; None likewise.
    """

    name: str
    features: tuple[str, ...]
    classes: int
    digest: str
    file: Path
    load: Callable[[], Any]
    shape: tuple[int, ...] = ()
    row_of_picture: PictureRecipe | None = None
    pictures: Pictures | None = None


def data_set(name: str) -> BuiltIn:
    """Return the data set of a name, one of `NAMES`."""
    found: BuiltIn = _load(_PLACES[name])
    return found


def panel(name: str) -> Callable[..., Any]:
    """Return what makes a panel of the server's page, a `serving.page.panel.Panel`, of the server's settings.

    Args:
        name: one of `PANELS`.
    """
    found: Callable[..., Any] = _load(_PANELS[name])
    return found


def _load(place: str) -> Any:
    module, _, attribute = place.rpartition(".")
    return getattr(import_module(module), attribute)


def data_set_with(features: Sequence[str]) -> BuiltIn | None:
    """Return the data set that has just these columns; None where there is none."""
    return next((found for name in NAMES if (found := data_set(name)).features == tuple(features)), None)
