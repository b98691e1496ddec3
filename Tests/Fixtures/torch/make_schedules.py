"""Writes schedules.safetensors: learning-rate factors of transformers, one for each step 0..119.

Of 100 training steps 10 are warm-up. Needs torch 2.13.0, transformers 5.23.0, safetensors 0.8.0.
Run: python make_schedules.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import optimization

optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
WARMUP = {"num_warmup_steps": 10}
BOTH = {"num_training_steps": 100, **WARMUP}
SCHEDULES = {
    "constant": optimization.get_constant_schedule(optimizer),
    "constant.warmup": optimization.get_constant_schedule_with_warmup(optimizer, **WARMUP),
    "linear": optimization.get_linear_schedule_with_warmup(optimizer, **BOTH),
    "cosine": optimization.get_cosine_schedule_with_warmup(optimizer, **BOTH),
    "cosine.cycles": optimization.get_cosine_schedule_with_warmup(
        optimizer, num_cycles=1.25, **BOTH),
    "polynomial": optimization.get_polynomial_decay_schedule_with_warmup(optimizer, **BOTH),
    "polynomial.power": optimization.get_polynomial_decay_schedule_with_warmup(
        optimizer, lr_end=0.1, power=2.5, **BOTH),
}

save_file(
    {
        name: torch.tensor([float(s.lr_lambdas[0](t)) for t in range(120)], dtype=torch.float64)
        for name, s in SCHEDULES.items()
    },
    Path(__file__).with_name("schedules.safetensors"))
