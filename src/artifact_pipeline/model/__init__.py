"""The model: numbers to ONNX bytes to answers."""
