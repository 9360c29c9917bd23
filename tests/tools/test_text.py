"""rdrop_tools/text on text as it comes: what a line is; no character is changed or lost."""

import re

import pytest
from bad_input import call_here
from conftest import files, sentences

from rdrop_tools.lines import read_lines

# A line is one line with no other characters at its ends; all but white space has to come through.
TRICKY = [
    "ﬁne ½ ① ⅷ ｶﾅ Ａ ℌ … ™ e\u0301 é Å ª º ﷺ",  # noqa: RUF001
    "soft\u00adhyphen zero\u200bwidth \u200efrom\u200fthe\u2066side\u2069 bom\ufeffin",
    "👩\u200d👩\u200d👧 emoji\ufe0f نمی\u200cخواهم हिन्दी ไทย 日本語 한국어 ⁇ ▅ <s> </s> <unk> <pad>",  # noqa: RUF001
    "AT&T &amp; <b> | [x] \\ / ' \" ` ´ “ ” ‚ „ ‘ ’",  # noqa: RUF001
    "UPPER Straße STRASSE ẞ İ ı ς Σ ǅ",  # noqa: RUF001
]
SPACED = [  # for fairseq each of these separates tokens, and some of them lines
    "non\u00a0breaking narrow\u202fand\u3000wide\u2003em\u1680ogham",
    "tab\there lone\rcr vt\x0bff\x0cnel\x85ls\u2028ps\u2029fs\x1cgs\x1d",
    "nul\x00bel\x07esc\x1b[0m del\x7fc1\x9f",
    "  two  spaces   between  ",
    "\u00a0 at the ends \u2028",
    "",
]


def spaced(line):
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", line).split())


def put_together(line):
    """As fairseq does for --remove-bpe sentencepiece."""
    return line.replace(" ", "").replace("\u2581", " ").strip()


def as_fairseq_reads(path):
    """Its binariser's lines, of universal newlines, and their tokens."""
    from fairseq.tokenizer import tokenize_line

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


def encode(folder, *arguments):
    command = [folder / "in", folder / "out", "--langs", "de", "en", "--splits", "train", "test", *arguments]
    return call_here("rdrop_tools/text/sentencepiece_encode.py", *command)


def test_pieces_are_the_line_itself(tricky):
    """NFKC rewrote 83 of the 1,000 test lines of the quickstart; a last line without LF was lost."""
    assert encode(tricky, "--vocab-size", "400") == (0, "", "")
    for path in sorted((tricky / "in").iterdir()):
        text, pieces = read_lines(path), read_lines(tricky / "out" / path.name)
        assert [put_together(line) for line in pieces] == [spaced(line) for line in text]
        assert {line for line in TRICKY if line not in map(put_together, pieces)} == set()
        # a \r in a piece made a line more, U+00A0 a token less
        assert as_fairseq_reads(tricky / "out" / path.name) == [
            line.split(" ") if line else [] for line in pieces
        ]


def test_no_piece_is_learnt_of_control_characters(tricky):
    import sentencepiece

    assert encode(tricky, "--vocab-size", "400").code == 0
    model = sentencepiece.SentencePieceProcessor(model_file=str(tricky / "out/sentencepiece.model"))
    pieces = [model.id_to_piece(n) for n in range(model.get_piece_size())]
    assert len(pieces) == 400
    assert not [piece for piece in pieces if spaced(piece) != piece]


def test_the_sign_for_a_space_is_counted(tricky):
    """U+2581 cannot be told from a space afterwards."""
    append(tricky, "test", "a\u2581b")
    result = encode(tricky, "--vocab-size", "400")
    assert result == (0, "", "2 lines have the character U+2581: a space there now\n")
    assert put_together(read_lines(tricky / "out/test.de")[-1]) == "a b"


def test_long_lines_are_learnt_too(tricky):
    """Lines of more than 4,192 bytes were left out without a word: their characters became unknown."""
    import sentencepiece

    append(tricky, "train", "ŋ wort " * 2000)
    assert encode(tricky, "--vocab-size", "400").code == 0
    model = sentencepiece.SentencePieceProcessor(model_file=str(tricky / "out/sentencepiece.model"))
    assert model.unk_id() not in model.encode("ŋ")


def test_train_is_learnt_from_without_being_a_split(tricky):
    assert (
        call_here(
            "rdrop_tools/text/sentencepiece_encode.py",
            *(
                tricky / "in",
                tricky / "out",
                "--langs",
                "de",
                "en",
                "--splits",
                "test",
                "--vocab-size",
                "400",
            ),
        ).code
        == 0
    )
    assert {path.name for path in (tricky / "out").iterdir()} == {"sentencepiece.model", "test.de", "test.en"}


def apply_bpe(folder, *arguments):
    (folder / "codes").write_text("#version: 0.2\nd e\nde r</w>\nm a\n")
    command = [
        folder / "codes",
        folder / "in",
        folder / "out",
        "--langs",
        "de",
        "en",
        "--splits",
        "train",
        "test",
    ]
    return call_here("rdrop_tools/text/apply_bpe.py", *command, *arguments)


@pytest.mark.parametrize("workers", ["1", "100000"])
def test_bpe_of_any_text(tricky, workers):
    """A \\r or U+2028 in a word went into the pieces, where fairseq ended a line or token at it."""
    assert apply_bpe(tricky, "--workers", workers) == (0, "", "")
    for path in (tricky / "out").iterdir():
        pieces, text = read_lines(path), read_lines(tricky / "in" / path.name)
        assert as_fairseq_reads(path) == [line.split() for line in pieces]
        assert [line.replace("@@ ", "") for line in pieces] == [" ".join(line.split()) for line in text]
    assert {"der", "h@@"} <= set(" ".join(read_lines(tricky / "out/train.de")).split())


def test_words_that_end_in_the_sign_of_bpe_are_counted(tricky):
    """``a@@ b`` is joined to ``ab`` afterwards."""
    append(tricky, "train", "a@@ b @@")
    assert apply_bpe(tricky) == (
        0,
        "",
        "1 pairs have words that end in @@: joined to the next when BPE is undone\n",
    )


def test_tokens_of_any_text(tricky):
    """As many lines in as out, the text of a pair unchanged beside its tokens."""
    pair = [tricky / "in" / f"train.{lang}" for lang in ("de", "en")]
    arguments = [tricky / "out", "train", "--langs", "de", "en", "--keep-raw", "--pair", *pair]
    result = call_here("rdrop_tools/text/tokenize_corpus.py", *arguments)
    assert (result.out, result.err) == ("train: 71 of 71 pairs kept\n", "")
    for path in pair:
        assert read_lines(tricky / "out/raw" / path.name) == read_lines(path)
        assert len(as_fairseq_reads(tricky / "out/tok" / path.name)) == 71
    for action, lang in (("tokenize", "de"), ("detokenize", "de")):
        text = pair[1].read_bytes()
        out = call_here("rdrop_tools/text/moses.py", action, lang, stdin=text).out
        assert out.count("\n") == 71, action


def test_held_out_pairs_are_in_one_split_only(tmp_path):
    """With --heldout -1, test and train overlapped; an empty page ended in a traceback."""
    for lang in ("de", "en-US"):
        for name in ("a", "empty"):
            path = tmp_path / "help" / lang / f"{name}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            body = "".join(f'<p id="par_id{n}">Absatz {n},\r\n\tauf&nbsp;{lang}.</p>' for n in range(20))
            path.write_text(body if name == "a" else "", newline="")
    arguments = [tmp_path / "help", tmp_path / "out", "--heldout", "5"]
    for _ in range(2):
        result = call_here("rdrop_tools/text/libreoffice_corpus.py", *arguments)
        assert (result.out, result.err) == ("20 pairs: 10 train, 5 valid, 5 test\n", "")
    sides = [
        [read_lines(tmp_path / "out" / f"{split}.{lang}") for split in ("train", "valid", "test")]
        for lang in ("de", "en")
    ]
    assert sorted(line for split in sides[0] for line in split) == sorted(
        f"Absatz {n}, auf de." for n in range(20)
    )
    assert [[line.replace(" en-US.", " de.") for line in split] for split in sides[1]] == sides[0]
    assert len(files(tmp_path / "out")) == 6


def test_a_language_that_moses_does_not_know_is_warned_of(tmp_path):
    """Regression: it was tokenised as English, silently."""
    warning = "warning: Moses has no abbreviations of 'xx': takes those of English\n"
    assert call_here("rdrop_tools/text/moses.py", "tokenize", "xx", stdin=b"Hi.\n") == (0, "Hi .\n", warning)
    assert call_here("rdrop_tools/text/moses.py", "tokenize", "de", stdin=b"Hi.\n").err == ""
    (tmp_path / "a").write_text("Hi.\n")
    arguments = [tmp_path / "out", "test", "--langs", "xx", "en", "--pair", tmp_path / "a", tmp_path / "a"]
    assert call_here("rdrop_tools/text/tokenize_corpus.py", *arguments).err == warning
