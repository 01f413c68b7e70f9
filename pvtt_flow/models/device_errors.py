"""Recognize errors after which a device, or this process's use of it, cannot go on."""

import re

# torch raises RuntimeError, or a subclass of it, with the text of the library that failed. Memory
# that runs out is no broken device: smaller batches may fit.
_BROKEN_DEVICE = re.compile(
    r"(CUDA|HIP|cuDNN) error(?!: out of memory)|CUDA driver|CUDA-capable|CUDA unknown|"
    r"No CUDA GPUs|uncorrectable ECC|(CUDNN|CUBLAS)_STATUS_(?!ALLOC)"
)


def is_device_error(error: BaseException) -> bool:
    """Return whether the error says that a GPU is broken, lost, or in an error state.

    Every later call in this process would fail, too; torch documents no way to reset it.
    """
    if type(error).__name__ == "OutOfMemoryError":
        return False
    return isinstance(error, RuntimeError) and _BROKEN_DEVICE.search(str(error)) is not None
