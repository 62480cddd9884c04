"""Classifiers, their export to ONNX and the runtime that serves them."""
