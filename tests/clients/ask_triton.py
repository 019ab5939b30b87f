"""Everything that `tritonclient[http]` offers for a model, asked of a server; what came of it, as JSON.

python ask_triton.py URL MODEL ROWS, ROWS being a file of NumPy's.
"""

import json
import sys
from itertools import product

import numpy as np
import tritonclient.http as triton

URL, MODEL, ROWS = sys.argv[1].removeprefix("http://"), sys.argv[2], np.load(sys.argv[3])
KINDS = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "UINT8": np.uint8}
FEW = ROWS[:500]
PACKED = (None, "gzip", "deflate")
client = triton.InferenceServerClient(URL, concurrency=4)
version = client.get_model_metadata(MODEL)["versions"][0]


def tensor(values, *, binary=True, datatype="FP64"):
    made = triton.InferInput("X", list(values.shape), datatype)
    made.set_data_from_numpy(values.astype(KINDS[datatype]), binary_data=binary)
    return [made]


def outputs(*names, binary=True, **options):
    return [triton.InferRequestedOutput(name, binary_data=binary, **options) for name in names]


def labels(result):
    return [each.decode() if isinstance(each, bytes) else each for each in result.as_numpy("label").tolist()]


def refused(call, *args, **options):
    try:
        call(*args, **options)
    except triton.InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return None


def ways():
    """Each datatype that has these numbers, each way there, each way back."""
    told = {}
    for datatype, kind in KINDS.items():
        if not np.array_equal(ROWS.astype(kind), ROWS):
            continue
        for there, back in product((True, False), repeat=2):
            asked = tensor(ROWS, binary=there, datatype=datatype)
            result = client.infer(MODEL, asked, outputs=outputs("label", "probabilities", binary=back))
            way = f"{datatype} {'binary' if there else 'JSON'} {'binary' if back else 'JSON'}"
            told[way] = {"label": labels(result), "probabilities": result.as_numpy("probabilities").tolist()}
    return told


def packed():
    """Each coding of the request, each of the response, asked of the very version."""
    told = {}
    for there, back in product(PACKED, repeat=2):
        codings = {"request_compression_algorithm": there, "response_compression_algorithm": back}
        result = client.infer(MODEL, tensor(FEW), model_version=version, outputs=outputs("label"), **codings)
        told[f"{there} {back}"] = labels(result)
    return told


def at_once():
    waiting = [client.async_infer(MODEL, tensor(FEW[start:]), request_id=str(start)) for start in range(20)]
    return {each.get_response()["id"]: labels(each) for each in [handle.get_result() for handle in waiting]}


def one_output():
    result = client.infer(MODEL, tensor(FEW), request_id="a name", outputs=outputs("probabilities"))
    told = result.get_response()
    names = [each["name"] for each in told["outputs"]]
    return {"id": told["id"], "version": told["model_version"], "names": names, "label": result.as_numpy("label")}


told = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model ready": [client.is_model_ready(MODEL), client.is_model_ready(MODEL, version)],
    "strangers ready": [client.is_model_ready("stranger"), client.is_model_ready(MODEL, "0")],
    "server": client.get_server_metadata(),
    "model": [client.get_model_metadata(MODEL), client.get_model_metadata(MODEL, version)],
    "ways": ways(),
    "packed": packed(),
    "at once": at_once(),
    "one output": one_output(),
    "by default": labels(client.infer(MODEL, tensor(FEW))),
    "refused": {
        "class_count": refused(client.infer, MODEL, tensor(FEW), outputs=outputs("label", class_count=3)),
        "shape": refused(client.infer, MODEL, tensor(FEW[:, :-1])),
        "shape in JSON": refused(client.infer, MODEL, tensor(FEW[:, :-1], binary=False)),
        "at once": refused(lambda: client.async_infer(MODEL, tensor(FEW[:, :-1])).get_result()),
        "output": refused(client.infer, MODEL, tensor(FEW), outputs=outputs("stranger")),
        "model": refused(client.infer, "stranger", tensor(FEW)),
        "version": refused(client.infer, MODEL, tensor(FEW), model_version="0"),
        "infinite": refused(client.infer, MODEL, tensor(np.full_like(FEW, np.inf))),
        "configuration": refused(client.get_model_config, MODEL),
    },
}
side = int(ROWS.shape[1] ** 0.5)
if side * side == ROWS.shape[1]:
    told["squares"] = labels(client.infer(MODEL, tensor(FEW.reshape(-1, side, side))))
client.close()
json.dump(told, sys.stdout)
