"""Everything that `tritonclient[http]` offers for a model, asked of a server; what came of it, as JSON.

python triton.py URL MODEL ROWS, ROWS being a file of NumPy's with the rows.
"""

import json
import sys

import numpy as np
import tritonclient.http as triton

url, model, rows = sys.argv[1].removeprefix("http://"), sys.argv[2], np.load(sys.argv[3])
client = triton.InferenceServerClient(url, concurrency=4)
version = client.get_model_metadata(model)["versions"][0]


def tensor(values, *, binary=True, datatype="FP64", shape=None):
    kind = triton_to_np[datatype]
    made = triton.InferInput("X", list(shape or values.shape), datatype)
    made.set_data_from_numpy(values.astype(kind).reshape(made.shape()), binary_data=binary)
    return made


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


triton_to_np = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "UINT8": np.uint8}
told = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model ready": [client.is_model_ready(model), client.is_model_ready(model, version)],
    "strangers ready": [client.is_model_ready("stranger"), client.is_model_ready(model, "0")],
    "server": client.get_server_metadata(),
    "model": [client.get_model_metadata(model), client.get_model_metadata(model, version)],
    "labels": {},
    "probabilities": {},
}

# Each datatype that loses nothing of these rows, each way in, each way out.
for datatype, kind in triton_to_np.items():
    if not np.array_equal(rows.astype(kind), rows) and datatype != "FP64":
        continue
    for there in (True, False):
        for back in (True, False):
            way = f"{datatype} {'binary' if there else 'JSON'} {'binary' if back else 'JSON'}"
            wanted = outputs("label", "probabilities", binary=back)
            result = client.infer(model, [tensor(rows, binary=there, datatype=datatype)], outputs=wanted)
            told["labels"][way] = labels(result)
            told["probabilities"][way] = result.as_numpy("probabilities").tolist()

few = rows[:500]
for there in (None, "gzip", "deflate"):
    for back in (None, "gzip", "deflate"):
        packed = {"request_compression_algorithm": there, "response_compression_algorithm": back}
        result = client.infer(model, [tensor(few)], model_version=version, outputs=outputs("label"), **packed)
        told["labels"][f"packed {there} {back}"] = labels(result)

waiting = [client.async_infer(model, [tensor(few[start:])], request_id=str(start)) for start in range(20)]
results = [each.get_result() for each in waiting]
told["async"] = {each.get_response()["id"]: labels(each) for each in results}

result = client.infer(model, [tensor(few)], request_id="a name", outputs=outputs("probabilities"))
told["one output"] = {
    "id": result.get_response()["id"],
    "version": result.get_response()["model_version"],
    "names": [each["name"] for each in result.get_response()["outputs"]],
    "label": result.as_numpy("label"),
}
told["default"] = {"labels": labels(client.infer(model, [tensor(few)]))}
told["refused"] = {
    "class_count": refused(client.infer, model, [tensor(few)], outputs=outputs("label", class_count=3)),
    "shape": refused(client.infer, model, [tensor(few[:, :-1])]),
    "shape in JSON": refused(client.infer, model, [tensor(few[:, :-1], binary=False)]),
    "output": refused(client.infer, model, [tensor(few)], outputs=outputs("stranger")),
    "model": refused(client.infer, "stranger", [tensor(few)]),
    "version": refused(client.infer, model, [tensor(few)], model_version="0"),
    "infinite": refused(client.infer, model, [tensor(np.full_like(few, np.inf))]),
    "async": refused(lambda: client.async_infer(model, [tensor(few[:, :-1])]).get_result()),
    "configuration": refused(client.get_model_config, model),
}
side = int(rows.shape[1] ** 0.5)
if side * side == rows.shape[1]:
    told["labels"]["pictures"] = labels(client.infer(model, [tensor(few, shape=(len(few), side, side))]))
client.close()
json.dump(told, sys.stdout)
