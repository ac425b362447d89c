"""The device is chosen by what is there."""

from __future__ import annotations

import onnxruntime
import pytest

from pagemill.extraction.recognition.device import CUDA, PROCESSOR, find_device, gpu, processor


def test_without_a_gpu_provider_the_processor_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROCESSOR])
    assert find_device(3) == processor(3)
    assert str(find_device(3)) == "the processor, 3 threads"


def test_a_provider_without_a_working_device_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # The package for GPUs is installed here, but a session falls back: there is no device.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, PROCESSOR])
    if CUDA in onnxruntime.capi._pybind_state.get_available_providers():
        pytest.skip("this machine's ONNX Runtime has CUDA")
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        assert find_device(2) == processor(2)


def test_a_gpu_reads_batches_of_lines_of_few_widths() -> None:
    assert gpu().is_gpu
    assert not processor(1).is_gpu
    assert gpu().batch_size > processor(8).batch_size == 1
    assert gpu().width_step > processor(8).width_step
    assert str(gpu()) == "the GPU (CUDA)"
