"""Makes the stored reference of ALBERT: a tiny random checkpoint, an adapter, what they give.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/albert/make_albert.py
Two groups of two blocks serve three depths: 0, 0, 1.
"""

import pathlib
import sys

import torch
from transformers import AlbertConfig, AlbertForSequenceClassification

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import encoders  # noqa: E402

torch.manual_seed(24)
sizes = encoders.SIZES | dict(num_hidden_layers=3)
config = AlbertConfig(**sizes, embedding_size=16, num_hidden_groups=2, inner_group_num=2)
model = AlbertForSequenceClassification(config)
encoders.make(HERE, model, ["query", "value"], types=2)
