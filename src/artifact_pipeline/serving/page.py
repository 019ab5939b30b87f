"""The page on which one draws a digit: its files, what it says of the model, and what it asks.

The page decides nothing: pictures and tables come here as they are, and become rows by the recipes that `predict` has.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.model.linear import coefficients
from artifact_pipeline.serving.feedback import recipe_of
from artifact_pipeline.serving.http import Refusal, Response, json_response

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.serving.model import Served

FILES = {
    "/": ("page.html", b"text/html; charset=utf-8"),
    "/page.css": ("page.css", b"text/css; charset=utf-8"),
    "/page.js": ("page.js", b"text/javascript; charset=utf-8"),
    "/drawing.js": ("drawing.js", b"text/javascript; charset=utf-8"),
}
"""By its path: a file in `static/`, and what it is."""


def page_files() -> dict[str, Response]:
    """The page's own files by path, read from the package."""
    folder = files("artifact_pipeline.serving") / "static"
    fresh = (b"cache-control", b"no-cache")
    return {
        path: Response(200, (folder / name).read_bytes(), ((b"content-type", kind), fresh))
        for path, (name, kind) in FILES.items()
    }


def describe(served: Served, *, feedback: bool) -> Response:
    """What the page says of the model.

    Args:
        served: the model.
        feedback: whether labelled drawings are taken.
    """
    manifest = served.verified.manifest
    drawn = recipe_of(served) is not None
    return json_response(
        {
            "name": served.name,
            "digest": served.verified.digest,
            "model": manifest.model.digest,
            "gate": manifest.gate.verdict if manifest.gate else "missing",
            "rules": manifest.gate.rules if manifest.gate else (),
            "labels": served.labels,
            "features": [feature.name for feature in manifest.model.inputs],
            "target": manifest.data.target,
            "draws": drawn,
            "feedback": feedback and drawn,
            "max_rows": served.max_rows,
            "held_out": _measured(manifest.metrics.held_out),
        }
    )


def _measured(held_out: HeldOut) -> dict[str, Any]:
    return {
        "rows": held_out.rows,
        "accuracy": held_out.accuracy,
        "f1": held_out.f1_weighted,
        "confusion": held_out.confusion,
    }


# A picture


def read_picture(served: Served, body: bytes) -> Response:
    """Answer a picture of one digit, and say which of its pixels spoke for the answer and which against it.

    Args:
        served: the model.
        body: a PNG or a JPEG.

    Raises:
        DataRejected: the picture cannot be decoded, or shows no ink.
        Refusal: the model does not take pictures.
    """
    recipe = recipe_of(served)
    if recipe is None:
        raise Refusal(400, "this model takes no pictures")
    pixels = recipe(body, place="picture")
    answers = served.predictor.predict(pixels.reshape(1, -1))
    position = int(answers.positions[0])
    spoke = _coefficients(served.verified.role("model"))[position] * pixels
    answer = {
        "label": served.labels[position],
        "probabilities": answers.probabilities[0].tolist(),
        "pixels": pixels.tolist(),
        "spoke": [round(value, 6) for value in spoke.tolist()],
    }
    return Response(200, msgspec.json.encode(answer), rows=1)


@lru_cache(maxsize=2)  # the model in charge, and the one before it while its last requests end
def _coefficients(model: bytes) -> NDArray[np.float64]:
    import numpy as np

    return np.array(coefficients(model))
