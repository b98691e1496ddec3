"""Writes subword/<case>/tokenizer.json and expected.jsonl, the golden files of BPE and Unigram.

Every case is a small tokenizer in the form of a well-known family, trained here, or one that turns
an option, and what the Python library makes of nasty texts. Needs tokenizers 0.23.3; run it in the
environment of the oracles:
  python make_subword.py
"""
import json
import pathlib
import shutil

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import trainers

from make_wordpiece import TEXTS as WORDPIECE_TEXTS
from make_wordpiece import compact
from oracle import answer

HERE = pathlib.Path(__file__).parent / "subword"

TEXTS = [WORDPIECE_TEXTS[place] for place in (0, 2, 4, 5, 8, 10, 14)] + [
    "I'll don't WE'RE it'ſ 1234567 3.14 x²  two   spaces\n\n  lines\r\n\t end  ",
    "Hello<s> <mask>world</s>  <unk>▁▁a ▁b",
]
PAIRS = [("the swift", "flies  high"), ("", "swift"), (" a b", "燕子飞 é")]

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CLIP = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
SPECIALS = ["<unk>", "<s>", "</s>", "<mask>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def charsmap(pairs):
    """A precompiled map of sentencepiece: a double array over UTF-8, and the replacements."""
    blob, offsets = b"", {}
    for key, new in pairs.items():
        offsets[key.encode()] = len(blob)
        blob += new.encode() + b"\0"
    units, used = [0] * 4096, {0}

    def build(node, prefix):
        labels = sorted({key[len(prefix)] if len(key) > len(prefix) else 0
                         for key in offsets if key.startswith(prefix)})
        base = next(base for base in range(256, 4096 - 256)
                    if not any((base ^ label) in used for label in labels))
        units[node] |= (node ^ base) << 10
        for label in labels:
            used.add(base ^ label)
        for label in labels:
            if label == 0:
                units[node] |= 1 << 8
                units[base] = offsets[prefix] | 1 << 31
            else:
                units[base ^ label] = label
                build(base ^ label, prefix + bytes([label]))

    build(0, b"")
    length = max(used) // 256 * 256 + 256
    trie = b"".join(unit.to_bytes(4, "little") for unit in units[:length])
    return len(trie).to_bytes(4, "little") + trie + blob


CHARSMAP = charsmap({
    "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\u200b": "", "ﬁ": "fi", "½": "1⁄2",
    "e\u0301": "é", "Å": "Å", "①": "1", "ｆ": "f", "\x01": "", "…": "...", "\u0301": "\u0301",
})


def train(model, trainer, normalizer, pre_tokenizer):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.train_from_iterator((WORDPIECE_TEXTS + TEXTS) * 3, trainer)
    return tokenizer


def byte_level(size=300, prefix=False, pattern=None, normalizer=None, suffix=None, **options):
    steps = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=pattern is None)
    if pattern:
        behavior, invert = ("removed", True) if pattern == CLIP else ("isolated", False)
        steps = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), behavior, invert=invert), steps])
    suffix = {"end_of_word_suffix": suffix} if suffix else {}
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **suffix)
    tokenizer = train(models.BPE(**suffix, **options), trainer, normalizer, steps)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def template(single, pair):
    return processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(token, SPECIALS.index(token))
                                                  for token in SPECIALS])


def sentencepiece_bpe(normalizer, pre_tokenizer, unk="<unk>", fuse=True, fallback=True, strip=1):
    trainer = trainers.BpeTrainer(
        vocab_size=300 if fallback else 120, special_tokens=SPECIALS + (BYTES if fallback else []), limit_alphabet=40,
        show_progress=False)
    model = models.BPE(unk_token=unk, fuse_unk=fuse, byte_fallback=fallback)
    document = json.loads(train(model, trainer, normalizer, pre_tokenizer).to_str())
    document["added_tokens"] = document["added_tokens"][:len(SPECIALS)]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    steps += [decoders.Strip(" ", strip, 0)] if strip else []
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def unigram(normalizer, scheme="always", fallback=False, specials=SPECIALS):
    metaspace = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=230, unk_token="<unk>", special_tokens=specials, show_progress=False)
    tokenizer = train(models.Unigram(), trainer, normalizer, metaspace)
    # Some characters stay unknown.
    document = json.loads(tokenizer.to_str())
    document["model"]["vocab"] = [
        [token, round(score, 4)] for token, score in document["model"]["vocab"]
        if len(token) > 1 or token == "▁" or ord(token) % 5]
    if fallback:
        document["model"]["vocab"] += [[byte, -12.0] for byte in BYTES]
        document["model"]["byte_fallback"] = True
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    if fallback:
        tokenizer.decoder = decoders.Sequence([
            decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme)])
    return tokenizer


def cases():
    yield "gpt2", byte_level()
    roberta = byte_level(prefix=True)
    roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    yield "roberta", roberta
    trimmed = byte_level(prefix=False)
    trimmed.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 1), trim_offsets=True, add_prefix_space=False)
    yield "roberta-bare", trimmed
    clip = byte_level(
        pattern=CLIP, suffix="</w>", unk_token="<unk>", normalizer=normalizers.Sequence([
            normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]))
    clip.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 1), trim_offsets=False, add_prefix_space=False)
    yield "clip", clip
    llama3 = byte_level(pattern=LLAMA3, ignore_merges=True)
    llama3.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        template("<s> $A", "<s> $A <s>:1 $B:1")])
    yield "llama3", llama3
    trimming = byte_level(pattern=O200K)
    trimming.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=False)
    yield "o200k", trimming
    llama2 = sentencepiece_bpe(normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None)
    llama2.post_processor = template("<s> $A", "<s> $A <s>:1 $B:1")
    yield "llama2", llama2
    yield "mistral", sentencepiece_bpe(
        None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False))
    yield "gemma", sentencepiece_bpe(
        normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), strip=0)
    yield "bpe-unknown", sentencepiece_bpe(
        None, pre_tokenizers.WhitespaceSplit(), fuse=False, fallback=False)
    yield "bpe-fused", sentencepiece_bpe(
        None, pre_tokenizers.WhitespaceSplit(), fuse=True, fallback=False)
    yield "bpe-dropped", sentencepiece_bpe(
        None, pre_tokenizers.WhitespaceSplit(), unk=None, fallback=False)
    digits = byte_level(size=280)
    digits.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(use_regex=True)])
    yield "digits", digits
    runs = byte_level(size=300)
    runs.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(False, use_regex=False)])
    yield "digit-runs", runs
    for behavior in ("merged_with_next", "merged_with_previous", "contiguous"):
        split = byte_level(size=270)
        split.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(r"\p{P}+?|\d{2}"), behavior, invert=behavior[0] == "c"),
            pre_tokenizers.ByteLevel(False, use_regex=False)])
        yield f"split-{behavior.replace('_', '-')}", split
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    precompiled = normalizers.Precompiled(CHARSMAP)
    xlmr = unigram(normalizers.Sequence([precompiled, spaces]))
    xlmr.post_processor = template("<s> $A </s>", "<s> $A </s> </s> $B </s>")
    yield "xlmr", xlmr
    t5 = unigram(normalizers.Sequence([
        precompiled, normalizers.Strip(False, True), normalizers.Replace(Regex(" {2,}"), "▁")]))
    t5.post_processor = template("$A </s>", "$A </s> $B </s>")
    yield "t5", t5
    albert = unigram(normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(),
        normalizers.StripAccents(), normalizers.Lowercase(), precompiled, spaces]))
    yield "albert", albert
    yield "unigram-bytes", unigram(normalizers.NFKC(), scheme="first", fallback=True)
    yield "unigram-never", unigram(None, scheme="never")


def requests():
    for number, text in enumerate(TEXTS):
        yield {"encode": text, "special": number % 4 > 0}
    for first, second in PAIRS:
        yield {"encode": first, "pair": second, "special": True}
    yield {"encode": PAIRS[0][0], "pair": PAIRS[0][1], "special": False}


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    for name, tokenizer in cases():
        folder = HERE / name
        folder.mkdir(parents=True)
        path = folder / "tokenizer.json"
        path.write_text(compact(json.loads(tokenizer.to_str())) + "\n", encoding="utf-8")
        tokenizer = Tokenizer.from_file(str(path))
        with open(folder / "expected.jsonl", "w", encoding="utf-8") as file:
            for number, request in enumerate(requests()):
                result = answer(tokenizer, request)
                ids = result["ids"]
                lines = [(request, {"ids": ids, "type_ids": result["type_ids"],
                                    "offsets": result["offsets"]})]
                if number % 2:
                    skip = {"decode": ids, "skip": number % 4 == 1}
                    lines.append((skip, answer(tokenizer, skip)))
                for asked, told in lines:
                    file.write(compact({"request": asked, "answer": told}) + "\n")
    for file in HERE.rglob("*"):
        if file.is_file():
            assert file.stat().st_size < 60_000, file


if __name__ == "__main__":
    main()
