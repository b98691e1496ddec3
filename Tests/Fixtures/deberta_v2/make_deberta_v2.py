"""Makes the stored references of DeBERTa v2 and v3: tiny random checkpoints, adapters, what they give.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/deberta_v2/make_deberta_v2.py
With names of variants behind it, only those are made.
"""

import pathlib
import sys

import torch
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import encoders  # noqa: E402

VARIANTS = {
    # As microsoft/deberta-v3-base: buckets of distances, keys and queries shared with the content.
    "v3": dict(
        relative_attention=True, position_buckets=4, norm_rel_ebd="layer_norm",
        share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False,
        type_vocab_size=0,
    ),
    # All that the others leave out: projections of their own, every distance, positions, segments.
    "v2": dict(
        relative_attention=True, max_relative_positions=6, share_att_key=False,
        pos_att_type=["c2p", "p2c"], position_biased_input=True, type_vocab_size=2,
        embedding_size=16,
    ),
    "content": dict(type_vocab_size=2, position_biased_input=True),
    # As microsoft/deberta-v2-xxlarge: a convolution beside the first block.
    "conv": dict(
        relative_attention=True, position_buckets=4, norm_rel_ebd="layer_norm",
        share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False,
        type_vocab_size=0, conv_kernel_size=3, conv_act="gelu",
    ),
}

for seed, (name, options) in enumerate(VARIANTS.items()):
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    torch.manual_seed(25 + seed)
    config = DebertaV2Config(**encoders.SIZES, **options)
    model = DebertaV2ForSequenceClassification(config)
    (HERE / name).mkdir(exist_ok=True)
    encoders.make(
        HERE / name, model, ["query_proj", "value_proj"], types=options["type_vocab_size"])
