import pytest
import torch

from pvtt_flow.models.device_errors import is_device_error


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: an illegal memory access was encountered\nCompile with `TORCH_USE_CUDA_DSA`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasCreate(handle)`",
        "CUDA driver initialization failed, you might not have a CUDA gpu.",
        "No CUDA GPUs are available",
        "HIP error: unspecified launch failure",
    ],
)
def test_a_broken_device_is_recognized(message: str) -> None:
    assert is_device_error(RuntimeError(message))
    assert is_device_error(torch.AcceleratorError(message))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("Expected all tensors to be on the same device, but found cuda:0 and cpu!"),
        ValueError("CUDA error: the name of a video"),
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    ],
)
def test_other_errors_are_none_of_the_device(error: Exception) -> None:
    assert not is_device_error(error)
