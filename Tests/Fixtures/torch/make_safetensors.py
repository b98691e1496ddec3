"""Writes python.safetensors: one tensor of every dtype, as Python's safetensors stores it.

Needs torch 2.13.0 and safetensors 0.8.0. Run: python make_safetensors.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}

values = torch.tensor([[0, 1, 2], [3, 5, 100]])
tensors = {name: values.to(dtype) for name, dtype in DTYPES.items()}
tensors["scalar"] = torch.tensor(2.5)
tensors["empty"] = torch.empty(0, 4)
tensors["größe 📏"] = torch.arange(3, dtype=torch.float32)

save_file(
    tensors, Path(__file__).with_name("python.safetensors"),
    metadata={"format": "pt", "quoted": 'a "b" \\ \n ü'})
