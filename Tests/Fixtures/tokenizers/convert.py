"""Writes the tokenizer.json of a folder that has none, as Hugging Face transformers converts it.

usage: convert.py FOLDER OUTPUT

FOLDER has vocab.json and merges.txt of GPT-2, or a sentencepiece file tokenizer.model (LLaMA 2) or
spiece.model (Unigram). Tested with tokenizers 0.23.3 and transformers 5.23.
"""
import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors


def gpt2(folder):
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    tokenizer = Tokenizer(models.BPE(json.loads((folder / "vocab.json").read_text()), merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def proto(path):
    from transformers.convert_slow_tokenizer import import_protobuf

    model = import_protobuf().ModelProto()
    model.ParseFromString(path.read_bytes())
    return model


def added(tokenizer, model, kinds):
    tokenizer.add_tokens([
        AddedToken(piece.piece, normalized=False, special=piece.type != 4)
        for piece in model.pieces if piece.type in kinds])


def llama(path):
    from transformers.tokenization_utils_base import generate_merges

    model = proto(path)
    vocabulary = {piece.piece: place for place, piece in enumerate(model.pieces)}
    merges = generate_merges(vocabulary, {piece.piece: piece.score for piece in model.pieces})
    tokenizer = Tokenizer(models.BPE(
        vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    added(tokenizer, model, (2, 3, 4))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return tokenizer


def unigram(path):
    model = proto(path)
    trainer = model.trainer_spec
    tokenizer = Tokenizer(models.Unigram(
        [(piece.piece, piece.score) for piece in model.pieces], unk_id=trainer.unk_id,
        byte_fallback=trainer.byte_fallback))
    added(tokenizer, model, (3, 4))
    charsmap = model.normalizer_spec.precompiled_charsmap
    tokenizer.normalizer = normalizers.Sequence(
        ([normalizers.Precompiled(charsmap)] if charsmap else [])
        + [normalizers.Strip(False, True), normalizers.Replace(Regex(" {2,}"), "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    return tokenizer


def main(folder, output):
    folder = pathlib.Path(folder)
    if (folder / "merges.txt").exists():
        tokenizer = gpt2(folder)
    elif (folder / "tokenizer.model").exists():
        tokenizer = llama(folder / "tokenizer.model")
    else:
        tokenizer = unigram(folder / "spiece.model")
    tokenizer.save(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
