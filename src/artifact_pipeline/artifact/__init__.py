"""The artifact: a folder that proves itself.

* `manifest`     its types, and the one parser
* `onnx_writer`  the model's bytes; `onnx_walk` reads them back before any session is made
* `selftest`     golden rows and answers; `reference` the training data's distribution
* `store`        staged, renamed, pointed at; `runs` and `rollback`
* `verify`       bytes → `Verified`, or every problem
* `trust`        who must have signed it, and the consumer's policy; `signing` and `keys` ask `model-signing`
* `predictor`    `Verified` → answers
* `export`       `model_train.pkl`, written by pickle and read back without it
* `environment`  what the bytes depend on
"""
