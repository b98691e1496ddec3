"""Makes the stored reference of DistilBERT: a tiny random checkpoint, an adapter, what they give.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/distilbert/make_distilbert.py
"""

import pathlib
import sys

import torch
from transformers import DistilBertConfig, DistilBertForSequenceClassification

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import encoders  # noqa: E402

torch.manual_seed(23)
config = DistilBertConfig(
    vocab_size=96, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=24,
    num_labels=3,
)
model = DistilBertForSequenceClassification(config)
encoders.make(HERE, model, ["q_lin", "v_lin"], types=0)
