"""Writes wordpiece/<case>/tokenizer.json and expected.jsonl, the golden files of WordPiece.

Every case is a small tokenizer that turns one option of the pipeline, and what the Python library
makes of a list of nasty texts. Needs tokenizers 0.23.3; run it in the environment of the oracles:
  python make_wordpiece.py
"""
import json
import pathlib
import shutil
import unicodedata

from tokenizers import Tokenizer

from oracle import answer

HERE = pathlib.Path(__file__).parent / "wordpiece"

TEXTS = [
    "",
    " ",
    "\n\r\n\t",
    "The swift flies, eats and sleeps unaffably in the air.",
    "don't STOP: 3.5% of [MASK]s cost $4+5=9 ~today~ (maybe) `x` ^_^",
    "Café, cafe\u0301, CAFE\u0301 and naïve Ångström A\u030angstro\u0308m",
    "a\u0323\u0301 a\u0301\u0323 \u0344\u0323 e\u0328\u0301x \u0301alone",
    "straße STRASSE İstanbul ıI ΣΊΣΥΦΟΣ ς ǅ ŉ",
    "ﬁne ﬂow ½ ² ① Ⅳ ㎏ ﷺ ｆｕｌｌ　ｗｉｄｔｈ",
    "燕子飞 swift燕 \u3400\U00020000\U0002b920\U0002b8ff\uf900\u8c48 カタカナ ｶﾞ",
    "한국어 각 \u1100\u1161\u11a8 \uac00\u11a8 \u1112\u1161\u11ab",
    "ሰላም ለዓለም፣ የአየር ወፍ።",
    "नमस्ते दुनिया। ไทยคำ עִבְרִית العربية؟",
    "🐦 👩\u200d👩\u200d👧 🇪🇹 👍🏽 🥰 🫠 ❤\ufe0f 1\ufe0f\u20e3",
    "null\x00byte \x01\x1f\x7f\x85\xa0 soft\u00adhyphen \u200bzero \ufeffbom \ufffd \ue000 \u2028",
    "tab\tnew\nline\r\nform\x0cfeed\x0bvert \u2003em\u3000wide",
    "\u166d \u1734 \u1885 \ua9bd \U000111c9 \U0001171e \u1cf2 \u2e43 \u061d \U00010ead end",
    "unaffable unaffablest unaffxable " + "a" * 100 + " " + "a" * 101 + " é" * 3,
    "[CLS] nested [SEP] tokens [UNK][PAD]  [MASK]  here [mask] [Mask]",
    "New  York new york NEWYORK NewYork's xNew York <sp>  <word>s <word> _<word> <Word>é <both>  ",
    "   leading and trailing   ",
    "a-b--c -d- --- ,,x.. e",
    "the\u0301 ##able able## ## unable",
]
PAIRS = [
    ("the swift", "flies"),
    ("", ""),
    ("the air", ""),
    ("the swift flies eats and sleeps in the air", "unaffable café"),
    ("cafe", "the swift flies eats and sleeps in the air maybe today"),
    ("the swift flies eats and sleeps", "in the air maybe today unaffable"),
    ("a b c d e f g h i j k", "l m n o p q r s t u v w x y z"),
    ("a b [MASK] d e f [MASK] [MASK] i j k l m n", "燕子飞 a b c d e f g h [MASK] [MASK] [MASK]"),
]
WORDS = """the swift flies eats and sleeps in air café cafe cafe\u0301 un ##aff ##affable ##able
able don ' t ##s today maybe ka ##ka naïve naive of cost mask [ ] new york straße strasse ss fine
flow full width ሰላም ለዓለም የአየር ወፍ the\u0301 ångström angstrom CAFÉ Café The ##fly ##afe ## -- ##-
""".split()
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def vocabulary():
    tokens = dict.fromkeys(SPECIALS + WORDS)
    everything = "".join(TEXTS) + "".join(a + b for a, b in PAIRS)
    for form in ("NFC", "NFKD"):
        for text in (everything, everything.lower()):
            for scalar in sorted(set(unicodedata.normalize(form, text))):
                # One in seven stays unknown.
                if not scalar.isspace() and ord(scalar) % 7:
                    tokens.setdefault(scalar)
                    tokens.setdefault("##" + scalar)
    return {token: place for place, token in enumerate(tokens)}


VOCABULARY = vocabulary()


def added(content, identifier, **options):
    return {
        "id": identifier, "content": content, "single_word": False, "lstrip": False,
        "rstrip": False, "normalized": False, "special": True, **options,
    }


def special(token, type_id=0):
    return {"SpecialToken": {"id": token, "type_id": type_id}}


def sequence(name, type_id=0):
    return {"Sequence": {"id": name, "type_id": type_id}}


def named(token, *parts):
    parts = parts or (token,)
    return {"id": token, "ids": [VOCABULARY[part] for part in parts], "tokens": list(parts)}


BERT = {
    "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
    "strip_accents": None, "lowercase": True,
}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [special("[CLS]"), sequence("A"), special("[SEP]")],
    "pair": [
        special("[CLS]"), sequence("A"), special("[SEP]"), sequence("B", 1), special("[SEP]", 1),
    ],
    "special_tokens": {token: named(token) for token in ("[CLS]", "[SEP]")},
}
BASE = {
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [added(token, VOCABULARY[token]) for token in SPECIALS],
    "normalizer": BERT, "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": TEMPLATE,
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": VOCABULARY,
    },
}
BEYOND = len(VOCABULARY)
WHITESPACE = {"type": "WhitespaceSplit"}


def steps(*types):
    return {"type": "Sequence", "normalizers": [
        step if isinstance(step, dict) else {"type": step} for step in types]}


def truncation(length, strategy="LongestFirst", direction="Right"):
    return {"max_length": length, "strategy": strategy, "stride": 0, "direction": direction}


def padding(strategy="BatchLongest", direction="Right", multiple=None, type_id=0):
    return {
        "strategy": strategy, "direction": direction, "pad_to_multiple_of": multiple,
        "pad_id": 0, "pad_type_id": type_id, "pad_token": "[PAD]",
    }


CASES = {
    "uncased": {},
    "cased": {"normalizer": {**BERT, "lowercase": False}},
    "cased-unaccented": {"normalizer": {**BERT, "lowercase": False, "strip_accents": True}},
    "uncased-accented": {"normalizer": {**BERT, "strip_accents": False}},
    "unclean": {"normalizer": {**BERT, "clean_text": False, "handle_chinese_chars": False}},
    "no-normalizer": {"normalizer": None},
    "nfc": {"normalizer": {"type": "NFC"}, "pre_tokenizer": WHITESPACE},
    "nfd": {"normalizer": {"type": "NFD"}, "pre_tokenizer": WHITESPACE},
    "nfkc": {"normalizer": steps("NFKC", "Lowercase"), "pre_tokenizer": {"type": "Whitespace"}},
    "nfkd": {
        "normalizer": steps("NFKD", "StripAccents", "Lowercase"),
        "pre_tokenizer": {"type": "Whitespace"},
    },
    "nfd-nfc": {"normalizer": steps("NFD", "NFC", "NFKC"), "pre_tokenizer": WHITESPACE},
    "strip": {
        "normalizer": steps({"type": "Strip", "strip_left": True, "strip_right": True}),
        "pre_tokenizer": None,
    },
    "strip-left": {
        "normalizer": {"type": "Strip", "strip_left": True, "strip_right": False},
        "pre_tokenizer": {"type": "Whitespace"},
    },
    "replace": {
        "normalizer": steps(
            {"type": "Replace", "pattern": {"String": "a"}, "content": "éa"},
            {"type": "Replace", "pattern": {"String": "--"}, "content": ""},
            {"type": "Replace", "pattern": {"String": "the"}, "content": "t"}),
        "pre_tokenizer": {"type": "Whitespace"},
    },
    "sequence": {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Removed"}]},
    },
    "bert-processing": {
        "post_processor": {
            "type": "BertProcessing", "sep": ["[SEP]", VOCABULARY["[SEP]"]],
            "cls": ["[CLS]", VOCABULARY["[CLS]"]],
        },
        "truncation": truncation(9),
    },
    "no-processor": {"post_processor": None, "decoder": None, "truncation": truncation(7)},
    "odd-template": {
        "post_processor": {
            **TEMPLATE,
            "single": [sequence("A", 3), special("end", 2), special("[CLS]", 1)],
            "pair": [sequence("B", 2), special("end", 1), sequence("A", 5), sequence("B", 6)],
            "special_tokens": {
                "[CLS]": named("[CLS]"), "end": named("end", "[SEP]", "[MASK]"),
            },
        },
        "truncation": truncation(11),
    },
    "short-words": {"model": {**BASE["model"], "max_input_chars_per_word": 4}},
    "no-prefix": {
        "model": {**BASE["model"], "continuing_subword_prefix": ""},
        "decoder": {"type": "WordPiece", "prefix": "", "cleanup": False},
    },
    "added": {
        "added_tokens": BASE["added_tokens"][:4] + [
            added("[MASK]", VOCABULARY["[MASK]"], lstrip=True, rstrip=True),
            added("New York", BEYOND, special=False, normalized=True),
            added("<word>", BEYOND + 1, special=False, single_word=True, normalized=True),
            added("<both>", BEYOND + 2, lstrip=True, rstrip=True, special=False),
            added("<sp>", BEYOND + 3, rstrip=True),
            added("  ", BEYOND + 4, special=False),
            added("York", BEYOND + 5, special=False, normalized=True, lstrip=True),
            added("é", VOCABULARY["é"], special=True, normalized=True, single_word=True),
        ],
    },
    "pad-right": {"padding": padding(multiple=8)},
    "pad-left": {"padding": padding(direction="Left", type_id=1)},
    "pad-fixed": {"padding": padding({"Fixed": 24}), "truncation": truncation(24)},
}
for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
    CASES[f"punctuation-{behavior}"] = {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Punctuation", "behavior": behavior}, {"type": "WhitespaceSplit"}]},
    }
for length in (3, 10, 13):
    for strategy in ("LongestFirst", "OnlyFirst", "OnlySecond"):
        direction = "Left" if length == 13 else "Right"
        CASES[f"cut-{length}-{strategy}"] = {"truncation": truncation(length, strategy, direction)}


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def requests():
    for text in TEXTS:
        yield {"encode": text, "special": True}
    for text in TEXTS[3:6]:
        yield {"encode": text, "special": False}
    for first, second in PAIRS:
        yield {"encode": first, "pair": second, "special": True}
        yield {"encode": first, "pair": second, "special": False}


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    for name, changes in CASES.items():
        folder = HERE / name
        folder.mkdir(parents=True)
        path = folder / "tokenizer.json"
        path.write_text(compact({**BASE, **changes}) + "\n", encoding="utf-8")
        tokenizer = Tokenizer.from_file(str(path))
        with open(folder / "expected.jsonl", "w", encoding="utf-8") as file:
            def write(request):
                result = answer(tokenizer, request)
                if isinstance(result, dict) and "error" in result:
                    result = {"error": True}
                if isinstance(result, dict) and name not in ("uncased", "added"):
                    # Everywhere else the tokens follow from the ids; this keeps the files small.
                    result.pop("tokens", None)
                file.write(compact({"request": request, "answer": result}) + "\n")
                return result

            for request in requests():
                if not name.startswith("cut-") or "pair" in request:
                    result = write(request)
                    if "ids" in result and name in ("uncased", "added", "no-prefix", "no-processor"):
                        write({"decode": result["ids"], "skip": True})
                        write({"decode": result["ids"], "skip": False})
            if name.startswith("pad-"):
                write({"batch": TEXTS[:6], "special": True})


if __name__ == "__main__":
    main()
