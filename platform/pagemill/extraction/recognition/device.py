"""The device that recognition runs on: a GPU where ONNX Runtime offers one that works, else the processor."""

from __future__ import annotations

from dataclasses import dataclass

import onnxruntime

CUDA = "CUDAExecutionProvider"
PROCESSOR = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Device:
    """A device, and the sizes of the work that suits it."""

    providers: tuple[str, ...]
    """Execution providers of ONNX Runtime, the preferred one first."""
    concurrency: int
    """Batches that run at a time."""
    batch_size: int
    """Lines in a batch. On a processor, batches are no faster than lines one by one."""
    width_step: int
    """Lines are padded to a multiple of this width, in pixels: a GPU tunes itself anew for each width."""

    @property
    def is_gpu(self) -> bool:
        """True for a GPU."""
        return CUDA in self.providers

    def __str__(self) -> str:
        """Return the device in words."""
        return "the GPU (CUDA)" if self.is_gpu else f"the processor, {self.concurrency} threads"


def processor(threads: int) -> Device:
    """Return the processor with this many threads."""
    return Device((PROCESSOR,), concurrency=threads, batch_size=1, width_step=8)


def gpu() -> Device:
    """Return the GPU; what CUDA cannot run runs on the processor."""
    return Device((CUDA, PROCESSOR), concurrency=1, batch_size=32, width_step=160)


def find_device(threads: int) -> Device:
    """Return the GPU where this ONNX Runtime can use one, else the processor with this many threads."""
    return gpu() if CUDA in onnxruntime.get_available_providers() and _works() else processor(threads)


def _works() -> bool:
    """Return whether a session really runs on CUDA: the package can be there without a device or driver."""
    from pagemill.extraction.recognition.models import detector_model, open_session

    try:
        session = open_session(detector_model(), gpu())
    except Exception:  # noqa: BLE001 - drivers fail in ways that nobody lists; the processor does as well
        return False
    return CUDA in session.get_providers()[:1]
