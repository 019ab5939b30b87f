"""A mixed table asked of a server by `tritonclient[http]`, a tensor a column; what came of it, as JSON.

python ask_triton_columns.py URL MODEL ROWS, ROWS being a JSON file of the columns' values by name.
"""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import tritonclient.http as triton

URL, MODEL, ROWS = sys.argv[1].removeprefix("http://"), sys.argv[2], json.loads(Path(sys.argv[3]).read_text())
WHOLE = [row for row, values in enumerate(zip(*ROWS.values(), strict=True)) if None not in values]
"""The rows without a gap: the client writes NaN into JSON, which has none."""
client = triton.InferenceServerClient(URL)
described = client.get_model_metadata(MODEL)
answers = described["outputs"][1]["name"]
KINDS = {"FP64": np.float64, "INT64": np.int64, "BYTES": np.object_, "BOOL": np.bool_}


def column(name, datatype, *, shape, binary):
    found = ROWS[name] if binary else [ROWS[name][row] for row in WHOLE]
    kept = [("" if datatype == "BYTES" else np.nan) if each is None else each for each in found]
    values = np.array(kept, dtype=KINDS[datatype]).reshape(shape)
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def ask(datatypes, *, shape=(-1, 1), there=True, back=True):
    inputs = [column(name, datatype, shape=shape, binary=there) for name, datatype in datatypes.items()]
    outputs = [triton.InferRequestedOutput(name, binary_data=back) for name in ("label", answers)]
    result = client.infer(MODEL, inputs, outputs=outputs)
    labels = [each.decode() if isinstance(each, bytes) else each for each in result.as_numpy("label").tolist()]
    return {"label": labels, "answers": result.as_numpy(answers).tolist()}


def refused(datatypes):
    try:
        ask(datatypes)
    except triton.InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return None


said = {each["name"]: each["datatype"] for each in described["inputs"]}
missing = {name: "FP64" if kind == "BOOL" and None in ROWS[name] else kind for name, kind in said.items()}
ways = {
    f"{shape} {'binary' if there else 'JSON'} {'binary' if back else 'JSON'}": ask(
        missing, shape=shape, there=there, back=back
    )
    for shape, there, back in product([(-1, 1), (-1,)], [True, False], [True, False])
}
ways["backwards"] = ask(dict(reversed(missing.items())))
told = {
    "inputs": said,
    "outputs": [each["name"] for each in described["outputs"]],
    "ways": ways,
    "whole": WHOLE,
    "refused": {
        "a column too few": refused({name: kind for name, kind in missing.items() if name != "city"}),
        "texts as truth values": refused({**missing, "city": "BOOL"}),
    },
}
client.close()
json.dump(told, sys.stdout)
