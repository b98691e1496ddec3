"""Stores texts, tags and classes with the scores that other programs give them, in metrics.json.

Made with sacrebleu 2.6.0, rouge-score 0.1.2, nltk 3.10.4, seqeval 1.2.2, scikit-learn 1.9.1,
scipy 1.17.1, in a virtual environment of its own:
  pip install sacrebleu==2.6.0 rouge-score==0.1.2 seqeval==1.2.2
"""

import collections
import json
import pathlib
import random
import re
import string

import sacrebleu
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import f1_score as entity_f1
from seqeval.metrics import precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import f1_score, matthews_corrcoef

HERE = pathlib.Path(__file__).parent
KINDS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
draw = random.Random(17)

WORDS = """the a of committee's budget meeting was held on 3,000 people who didn't like relational
happily running agreed sky skies dying news generalization, hopefulness. electrical (adjustment)
U.S. 1-2 well-known co-operate "quoted" &amp; &quot;x&quot; é naïve größe 東京 5.5% $12.50 and/or
[brackets] a@b.c <skipped> end- controll roll ceas flies died yyy geologi archaeology fulli ; : !?
it's 10,5 .5 5. –dash—dash… no-break ½ x²""".split()


def text(words, lines=1):
    return "\n".join(
        " ".join(draw.choice(WORDS) for _ in range(draw.randint(0, words))) for _ in range(lines))


def changed(sentence):
    kept = [w for w in re.split(r"( |\n)", sentence) if w.isspace() or draw.random() < 0.7]
    return "".join(w if draw.random() < 0.8 or w == "\n" else draw.choice(WORDS) for w in kept)


def bleu():
    corpora = []
    for size, longest in [(1, 3), (1, 30), (4, 12), (12, 20), (12, 20), (3, 5), (5, 1)]:
        references = [[text(longest) for _ in range(draw.randint(1, 3))] for _ in range(size)]
        width = max(map(len, references))
        outputs = [changed(draw.choice(r)) for r in references]
        # sacreBLEU wants as many references for every text; None is one that is missing.
        columns = [[r[i] if i < len(r) else None for r in references] for i in range(width)]
        found = sacrebleu.BLEU().corpus_score(outputs, columns)
        corpora.append({
            "outputs": outputs, "references": references, "score": found.score,
            "precisions": found.precisions, "counts": list(map(int, found.counts)),
            "totals": list(map(int, found.totals)), "penalty": found.bp})
    tokenizer = sacrebleu.BLEU().tokenizer
    lines = [text(14) for _ in range(30)] + [
        "&lt;b&gt; &amp;lt; a-\nb c\nd", "1.2,3 4-5 -6 7-", "...", ",,a..b,,1..2", "", "  x\u00a0y\u2003z\x1c",
        "e\u0301 \u00e9", "a.b.c 1.a a.1", "5-.-5"]
    return {"corpora": corpora,
            "tokens": [{"text": t, "tokens": tokenizer(t.rstrip()).split()} for t in lines]}


def rouge():
    pairs = []
    for lines in [1, 1, 1, 2, 3, 4, 5, 1, 2, 3]:
        reference = text(14, lines)
        pairs.append((changed(reference), reference))
    pairs += [("", "a b"), ("a b", ""), ("", ""), ("\n\n", "x"), ("İstanbul ſ K", "i stanbul k")]
    rows = []
    for output, reference in pairs:
        row = {"output": output, "reference": reference}
        for stems in [False, True]:
            found = RougeScorer(KINDS, use_stemmer=stems).score(reference, output)
            row["stems" if stems else "words"] = {
                k: [found[k].precision, found[k].recall, found[k].fmeasure] for k in KINDS}
        rows.append(row)
    return rows


def stems():
    suffixes = """s sses ies ss eed ed ing at bl iz y ational tional enci anci izer bli alli entli eli
    ousli ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative
    alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent sion tion ion ou ism ate
    iti ous ive ize e ll lle ied yed""".split()
    roots = "b ca tro oat tr hopp fall fizz fil yy gy toy syz relat vietnam geo arch control s st".split()
    words = [r + s for r in roots for s in suffixes]
    words += """skies sky dying lying tying news innings inning outings outing cannings canning howe
    proceed exceed succeed flies dies spied died enjoy happy spy agreed feed plastered bled sing motoring
    x1ed 2nd 3000s conflated troubled sized failing filing rate cease probate roll controlling""".split()
    stem = PorterStemmer().stem
    return [[w, stem(w)] for w in sorted(set(words)) if len(w) > 3]


def entities():
    kinds = ["B", "I", "O", "O", "E", "S", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-PER", "S-LOC",
             "B-X-Y", "I-X-Y", "."]
    corpora = []
    for tags in [kinds[4:12] + ["O"] * 4, kinds, ["B-D", "I-D", "O"], ["O"]]:
        truths, guesses = [], []
        for _ in range(8):
            truth = [draw.choice(tags) for _ in range(draw.randint(1, 12))]
            truths.append(truth)
            guesses.append([t if draw.random() < 0.7 else draw.choice(tags) for t in truth])
        corpora.append({
            "truths": truths, "guesses": guesses,
            "precision": float(precision_score(truths, guesses, zero_division=0)),
            "recall": float(recall_score(truths, guesses, zero_division=0)),
            "micro": float(entity_f1(truths, guesses, zero_division=0)),
            "macro": float(entity_f1(truths, guesses, average="macro", zero_division=0))
            if any(map(get_entities, truths + guesses)) else 0.0,
            "spans": [[[t, a, b] for t, a, b in get_entities(s)] for s in truths]})
    return corpora


def classes():
    rows = []
    for count, size in [(2, 20), (4, 50), (3, 1), (1, 5), (2, 7)]:
        truths = [draw.randrange(count) for _ in range(size)]
        guesses = [t if draw.random() < 0.6 else draw.randrange(count + 1) for t in truths]
        labels = sorted(set(truths) | set(guesses))
        options = dict(labels=labels, zero_division=0)
        rows.append({
            "truths": truths, "guesses": guesses,
            "micro": f1_score(truths, guesses, average="micro", **options),
            "macro": f1_score(truths, guesses, average="macro", **options),
            "each": list(map(float, f1_score(truths, guesses, average=None, **options))),
            "matthews": float(matthews_corrcoef(truths, guesses))})
    return rows


def correlations():
    rows = []
    for size in [2, 5, 30, 200]:
        x = [round(draw.gauss(0, 2), 1) for _ in range(size)]
        y = [round(0.5 * a + draw.gauss(1000, 1), 1) for a in x]
        rows.append({"x": x, "y": y, "pearson": float(pearsonr(x, y)[0]),
                     "spearman": float(spearmanr(x, y)[0])})
    return rows


def overlaps():
    """As SQuAD's script defines exact match and F1."""

    def words(answer):
        plain = "".join(c for c in answer.lower() if c not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", plain).split()

    def f1(truth, guess):
        truth, guess = words(truth), words(guess)
        if not truth or not guess:
            return float(truth == guess)
        same = sum((collections.Counter(truth) & collections.Counter(guess)).values())
        if same == 0:
            return 0.0
        precision, recall = same / len(guess), same / len(truth)
        return 2 * precision * recall / (precision + recall)

    rows = []
    for output, references in [
        ("The Eiffel Tower!", ["eiffel tower", "a tower"]), ("a–b the_a", ["–b", "thea"]),
        ("", [""]), ("", ["x"]), ("an the a", [""]), ("x x y", ["x y y", "y"]),
        ("Größe, 5.5", ["größe 55", "e\u0301"]), ("é", ["e\u0301"]), ("x\u00a0the\u2003y", ["x y"]),
    ] + [(changed(t), [t, text(6)]) for t in [text(9) for _ in range(12)]]:
        rows.append({"output": output, "references": references,
                     "exact": max(float(words(r) == words(output)) for r in references),
                     "f1": max(f1(r, output) for r in references)})
    return rows


found = {"bleu": bleu(), "rouge": rouge(), "stems": stems(), "entities": entities(),
         "classes": classes(), "correlations": correlations(), "overlaps": overlaps()}
(HERE / "metrics.json").write_text(json.dumps(found, ensure_ascii=True, indent=None) + "\n")
