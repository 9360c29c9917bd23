"""rdrop_tools/text on text as it comes: what a line is; no character is changed or lost."""

import re

import pytest
import sentencepiece
from any_text import for_any_text
from bad_input import call_here
from conftest import files, sentences
from fairseq.tokenizer import tokenize_line

from rdrop_tools.lines import read_lines, read_pairs
from rdrop_tools.text import corpus, sentencepiece_encode
from rdrop_tools.text.apply_bpe import splitter

# A line is one line with no other characters at its ends; all but white space has to come through.
TRICKY = [
    "ﬁne ½ ① ｶﾅ Ａ ℌ … e\u0301 é Å ﷺ Straße İ ς ǅ soft\u00adhyphen zero\u200bwidth bidi\u200f bom\ufeffin",  # noqa: RUF001
    "👩\u200d👩\u200d👧 emoji\ufe0f نمی\u200cخواهم हिन्दी ไทย 日本語 한국어 ⁇ ▅ <s> </s> <unk> <pad>",  # noqa: RUF001
    "AT&T &amp; <b> | [x] \\ / ' \" ` ´ “ ” ‚ „ ‘ ’",  # noqa: RUF001
]
SPACED = [  # for fairseq each of these separates tokens, and some of them lines
    "non\u00a0breaking narrow\u202fand\u3000wide tab\there lone\rcr vt\x0bff\x0cnel\x85ls\u2028ps\u2029",
    "\u00a0 at the ends \u2028nul\x00bel\x07esc\x1b[0m fs\x1cgs\x1ddel\x7fc1\x9f",
    "",
]


def spaced(line):
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", line).split())


def put_together(line):
    """The text, as fairseq's --remove-bpe sentencepiece makes it."""
    return line.replace(" ", "").replace("\u2581", " ").strip()


def as_fairseq_reads(path):
    """The lines of its binariser, of universal newlines, and their tokens."""
    with path.open(encoding="utf-8") as file:
        return [tokenize_line(line) for line in file]


@pytest.fixture
def tricky(tmp_path):
    """in/{train,test}.{de,en}, one without an LF at its end; the English is the German backwards."""
    german = [*TRICKY, *SPACED, *(pair[0] for pair in sentences(60, seed=4))]
    for split in ("train", "test"):
        for lang, text in (("de", german), ("en", german[::-1])):
            path = tmp_path / "in" / f"{split}.{lang}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes("\n".join(text).encode() + (b"\n" if lang == "de" else b""))
    return tmp_path


def append(folder, split, line):
    for lang in ("de", "en"):
        path = folder / "in" / f"{split}.{lang}"
        path.write_bytes(path.read_bytes().removesuffix(b"\n") + f"\n{line}\n".encode())


LANGS = ("--langs", "de", "en")
CODES = "#version: 0.2\nd e\nde r</w>\nm a\n"


def encode(folder, *arguments):
    command = [folder / "in", folder / "out", *LANGS, "--splits", "train", "test", "--vocab-size", "400"]
    return call_here("sentencepiece_encode", *command, *arguments)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "train.de"
    path.write_text("".join(f"{german}\n" for german, _ in sentences(60, seed=4)), encoding="utf-8")
    return sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_encode.learn([path], 60, False))


@for_any_text
def test_pieces_of_any_line_are_the_line(model, text):
    """Regression: SentencePiece's NFKC rewrote 83 of the 1,000 test lines of the quickstart."""
    line = text.replace("\n", "")
    pieces = model.encode(sentencepiece_encode.clean(line), out_type=str)
    assert put_together(" ".join(pieces)) == spaced(line.replace("\u2581", " "))
    assert tokenize_line(" ".join(pieces)) == pieces


@for_any_text
def test_bpe_of_any_line_is_the_line(tmp_path, text):
    """Regression: a carriage return or U+2028 went into the pieces, where fairseq ended a line at it."""
    (tmp_path / "codes").write_text(CODES)
    line = text.replace("\n", "")
    pieces = splitter(tmp_path / "codes")(line)
    assert pieces.replace("@@ ", "") == " ".join(line.split())
    assert tokenize_line(pieces) == pieces.split(" ") or not pieces


def test_pieces_are_the_line_itself(tricky):
    """Regression: a last line without a line feed was lost; of a line of more than 4,192 bytes nothing was
    learnt, and its characters became unknown. No piece is learnt of control characters.
    """
    append(tricky, "train", "ŋ wort " * 2000)
    assert encode(tricky) == (0, "", "")
    for path in sorted((tricky / "in").iterdir()):
        text, pieces = read_lines(path), read_lines(tricky / "out" / path.name)
        assert [put_together(line) for line in pieces] == [spaced(line) for line in text]
        assert set(TRICKY) <= set(map(put_together, pieces))
        assert as_fairseq_reads(tricky / "out" / path.name) == [line.split() for line in pieces]
    model = sentencepiece.SentencePieceProcessor(model_file=str(tricky / "out/sentencepiece.model"))
    pieces = [model.id_to_piece(n) for n in range(model.get_piece_size())]
    assert len(pieces) == 400
    assert not [piece for piece in pieces if spaced(piece) != piece]
    assert model.unk_id() not in model.encode("ŋ")


def test_the_sign_for_a_space_is_counted(tricky):
    """It cannot be told from a space afterwards. train need be no split."""
    append(tricky, "test", "a\u2581b")
    message = "2 lines have the character U+2581: a space there now\n"
    assert encode(tricky, "--splits", "test") == (0, "", message)
    assert {path.name for path in files(tricky / "out")} == {"sentencepiece.model", "test.de", "test.en"}


def test_bpe_of_any_text(tricky, monkeypatch):
    """The lines are in the order of the text, whichever worker made them.

    Pairs with words like ``a@@``, which may be joined to the next afterwards, are counted.
    """
    append(tricky, "test", "a@@ b @@")
    monkeypatch.setattr(corpus, "CHUNK", 7)
    message = "1 pairs have words ending in @@: undone, BPE joins them to the next\n"
    (tricky / "codes").write_text(CODES)
    command = [tricky / "codes", tricky / "in", tricky / "out", *LANGS, "--splits", "train", "test"]
    assert call_here("apply_bpe", *command) == (0, "", message)
    for path in (tricky / "out").iterdir():
        pieces, text = read_lines(path), read_lines(tricky / "in" / path.name)
        assert [line.replace("@@ ", "") for line in pieces] == [" ".join(line.split()) for line in text]
    assert {"der", "h@@"} <= set(" ".join(read_lines(tricky / "out/train.de")).split())


def test_tokens_of_any_text(tricky):
    """The tokenisers write as many lines as they read, and a pair's text unchanged beside its tokens."""
    pair = [tricky / "in" / f"train.{lang}" for lang in ("de", "en")]
    count = len(read_lines(pair[0]))
    arguments = [tricky / "out", "train", *LANGS, "--keep-raw", "--pair", *pair]
    result = call_here("tokenize_corpus", *arguments)
    assert (result.out, result.err) == (f"train: {count} of {count} pairs kept\n", "")
    for path in pair:
        assert read_lines(tricky / "out/raw" / path.name) == read_lines(path)
        assert len(as_fairseq_reads(tricky / "out/tok" / path.name)) == count
    for action in ("tokenize", "detokenize"):
        out = call_here("moses", action, "de", stdin=pair[1].read_bytes()).out
        assert out.count("\n") == count, action


def test_pairs_of_the_libreoffice_help(tmp_path):
    """They are joined by their ids, filtered, each target once, and in one split only.

    Regression: with --heldout -1, test and train overlapped; an empty page ended in a traceback.
    """
    good = [(f"Absatz {n},\r\n\tauf&nbsp;<b>de</b>.", f"Absatz {n}, auf en.") for n in range(20)]
    left_out = [
        ("Ganz gleich in beiden.", "Ganz gleich in beiden."),
        ("Zu kurz", "Too short"),
        ("Dieser Satz ist sehr viel zu lang für das dort.", "Too long."),
        ("wort " * 101, "word " * 101),
        ("Das ist doppelt.", "Absatz 0, auf en."),
    ]
    for lang, texts in zip(("de", "en-US"), zip(*good, *left_out, strict=True), strict=True):
        folder = tmp_path / "help" / lang
        folder.mkdir(parents=True)
        (folder / "page.html").write_text(
            "".join(f'<p id="{"hd" if n % 2 else "par"}_id{n}">{text}</p>' for n, text in enumerate(texts))
            + f'<p id="par_id{lang}">Ein Absatz nur hier.</p>',
            encoding="utf-8",
            newline="",
        )
        (folder / "empty.html").touch()
    result = call_here("libreoffice_corpus", tmp_path / "help", tmp_path / "out", "--heldout", "5")
    assert (result.out, result.err) == ("20 pairs: 10 train, 5 valid, 5 test\n", "")
    found = []
    for split in ("train", "valid", "test"):
        found += read_pairs(*(tmp_path / "out" / f"{split}.{lang}" for lang in ("de", "en")))
    assert sorted(found) == sorted((f"Absatz {n}, auf de.", f"Absatz {n}, auf en.") for n in range(20))


def test_a_language_that_moses_does_not_know_is_warned_of(tmp_path):
    """Regression: a text in another language was tokenised as English, silently."""
    (tmp_path / "a").write_text("Hi.\n")
    arguments = [tmp_path / "out", "test", "--langs", "xx", "en", "--pair", tmp_path / "a", tmp_path / "a"]
    warning = "warning: Moses has no abbreviations of 'xx': takes those of English\n"
    assert call_here("tokenize_corpus", *arguments).err == warning
