"""Recognition: plain pixels in, words out."""

import os

# ONNX Runtime keeps an id of the machine, and reports its use to its maker, unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
