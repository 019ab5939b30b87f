"""Everything that the REST client of KServe offers by the protocol's second version; what came of it, as JSON.

python kserve_rest.py URL MODEL ROWS, ROWS being a file of NumPy's with the rows.
"""

import asyncio
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

url, model, rows = sys.argv[1], sys.argv[2], np.load(sys.argv[3])
DATATYPES = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "UINT8": np.uint8}


def request(values, *, binary=True, datatype="FP64", **options):
    tensor = InferInput(name="X", shape=list(values.shape), datatype=datatype)
    tensor.set_data_from_numpy(values.astype(DATATYPES[datatype]), binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[tensor], **options)


def arrays(response):
    found = {each.name: each.as_numpy() for each in response.outputs}
    return {
        name: [each.decode() if isinstance(each, bytes) else each for each in array.tolist()]
        for name, array in found.items()
    }


async def refused(awaited):
    try:
        await awaited
    except httpx.HTTPStatusError as error:
        return {"status": error.response.status_code, "message": str(error)}
    return None


async def ask():
    few = rows[:500]
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        told = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model ready": await client.is_model_ready(url, model),
            "stranger ready": await client.is_model_ready(url, "stranger"),
            "labels": {},
            "probabilities": {},
        }
        for datatype, kind in DATATYPES.items():
            if not np.array_equal(rows.astype(kind), rows) and datatype != "FP64":
                continue
            for there in (True, False):
                for back in (True, False):
                    way = f"{datatype} {'binary' if there else 'JSON'} {'binary' if back else 'JSON'}"
                    wanted = request(rows, binary=there, datatype=datatype, parameters={"binary_data_output": back})
                    found = arrays(await client.infer(url, wanted, model_name=model))
                    told["labels"][way], told["probabilities"][way] = found["label"], found["probabilities"]
        names = [RequestedOutput("probabilities", {"binary_data": True}), RequestedOutput("label")]
        one = request(few, request_id="a name", request_outputs=names)
        headers = {}
        response = await client.infer(url, one, model_name=model, response_headers=headers)
        told["outputs"] = {
            "id": response.id,
            "names": [each.name for each in response.outputs],
            "label": arrays(response)["label"],
            "digest": headers["artifact-digest"],
        }
        plain = {"inputs": [{"name": "X", "shape": list(few.shape), "datatype": "FP64", "data": few.tolist()}]}
        told["labels"]["dict"] = arrays(await client.infer(url, plain, model_name=model))["label"]
        at_once = [client.infer(url, request(few[start:]), model_name=model) for start in range(20)]
        told["at once"] = [arrays(each)["label"] for each in await asyncio.gather(*at_once)]
        told["refused"] = {
            "shape": await refused(client.infer(url, request(few[:, :-1]), model_name=model)),
            "shape in JSON": await refused(client.infer(url, request(few[:, :-1], binary=False), model_name=model)),
            "model": await refused(client.infer(url, request(few), model_name="stranger")),
            "infinite": await refused(client.infer(url, request(np.full_like(few, np.inf)), model_name=model)),
        }
        return told


json.dump(asyncio.run(ask()), sys.stdout)
