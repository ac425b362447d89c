"""REST API. Never imports Ray, torch, onnxruntime or extraction."""
