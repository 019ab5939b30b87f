"""Everything that KServe's REST client offers by the protocol's second version; what came of it, as JSON.

python ask_kserve.py URL MODEL ROWS, ROWS being a file of NumPy's.
"""

import asyncio
import json
import sys
from itertools import product

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

URL, MODEL, ROWS = sys.argv[1], sys.argv[2], np.load(sys.argv[3])
KINDS = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "UINT8": np.uint8}
FEW = ROWS[:500]


def request(values, *, binary=True, datatype="FP64", **options):
    tensor = InferInput(name="X", shape=list(values.shape), datatype=datatype)
    tensor.set_data_from_numpy(values.astype(KINDS[datatype]), binary_data=binary)
    return InferRequest(model_name=MODEL, infer_inputs=[tensor], **options)


def arrays(response):
    """By name: the output as NumPy has it."""
    found = {each.name: each.as_numpy().tolist() for each in response.outputs}
    if "label" in found:
        found["label"] = [each.decode() if isinstance(each, bytes) else each for each in found["label"]]
    return found


async def refused(asked):
    try:
        await asked
    except httpx.HTTPStatusError as error:
        return {"status": error.response.status_code, "message": str(error)}
    return None


async def ways(client):
    """Each datatype that has these numbers, each way there, each way back."""
    told = {}
    for datatype, kind in KINDS.items():
        if not np.array_equal(ROWS.astype(kind), ROWS):
            continue
        for there, back in product((True, False), repeat=2):
            asked = request(ROWS, binary=there, datatype=datatype, parameters={"binary_data_output": back})
            way = f"{datatype} {'binary' if there else 'JSON'} {'binary' if back else 'JSON'}"
            told[way] = arrays(await client.infer(URL, asked, model_name=MODEL))
    return told


async def outputs(client):
    """Two outputs, each in its own form and the other order."""
    wanted = [RequestedOutput("probabilities", {"binary_data": True}), RequestedOutput("label")]
    headers = {}
    asked = request(FEW, request_id="a name", request_outputs=wanted)
    response = await client.infer(URL, asked, model_name=MODEL, response_headers=headers)
    names = [each.name for each in response.outputs]
    return {"id": response.id, "names": names, "digest": headers["artifact-digest"], **arrays(response)}


async def ask():
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        plain = {"inputs": [{"name": "X", "shape": list(FEW.shape), "datatype": "FP64", "data": FEW.tolist()}]}
        at_once = [client.infer(URL, request(FEW[start:]), model_name=MODEL) for start in range(20)]
        return {
            "live": await client.is_server_live(URL),
            "ready": await client.is_server_ready(URL),
            "model ready": await client.is_model_ready(URL, MODEL),
            "stranger ready": await client.is_model_ready(URL, "stranger"),
            "ways": await ways(client),
            "outputs": await outputs(client),
            "dict": arrays(await client.infer(URL, plain, model_name=MODEL)),
            "at once": [arrays(each)["label"] for each in await asyncio.gather(*at_once)],
            "refused": {
                "shape": await refused(client.infer(URL, request(FEW[:, :-1]), model_name=MODEL)),
                "shape in JSON": await refused(client.infer(URL, request(FEW[:, :-1], binary=False), model_name=MODEL)),
                "model": await refused(client.infer(URL, request(FEW), model_name="stranger")),
                "infinite": await refused(client.infer(URL, request(np.full_like(FEW, np.inf)), model_name=MODEL)),
            },
        }


json.dump(asyncio.run(ask()), sys.stdout)
