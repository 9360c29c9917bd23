"""scripts/quickstart.sh from beginning to end, on small corpora in the real ones' form."""

import json

import pytest
from conftest import SCRIPTS, files, kill_when, run, sentences
from shell_scripts import assert_fails
from translation_data import MULTI30K_SETTINGS, TRANSLATION, environment, write_multi30k

SCRIPT = SCRIPTS / "quickstart.sh"
SMALL = {"MAX_UPDATE": "8", "MERGES": "70", "HELDOUT": "10", "MIN_FREE_MB": "1"}


@pytest.fixture(scope="module")
def env():
    return {**environment(), **SMALL}


def write_help(folder):
    """A page like those of the LibreOffice help, in each language."""
    for lang, lines in zip(("de", "en-US"), zip(*sentences(300, seed=5), strict=True), strict=True):
        body = "".join(f'<p id="par_id{n}" class="paragraph">{line}</p>\n' for n, line in enumerate(lines))
        page = folder / lang / "text" / "page.html"
        page.parent.mkdir(parents=True)
        page.write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    return folder


@pytest.mark.slow
def test_libreoffice_interrupted_resumed_and_done(env, tmp_path):
    """A training killed in the middle goes on from the checkpoint; when done, the script does nothing.

    Regression: a second call with another alpha printed the first call's scores; a wrong HELDOUT, of which
    nothing came, made the right one 'other settings'.
    """
    out = tmp_path / "out"
    env = {**env, "LIBREOFFICE_HELP_DIR": str(write_help(tmp_path / "help")), "OUT": str(out)}
    env["MAX_UPDATE"] = "20"
    trained = out / "rdrop"
    first = run(SCRIPT, check=False, **{**env, "HELDOUT": "1000"})
    assert "pairs, more than 2000 are needed" in first.stdout
    kill_when(trained / "checkpoint_last.pt", SCRIPT, **env)
    assert not (trained / "trained-20").exists()

    finished = files(out / "data")
    result = run(SCRIPT, **env)
    assert "training: libreoffice.de-en" in result.stdout
    assert "Loaded checkpoint" in (trained / "train.log").read_text()
    changed = files(out / "data").items() ^ finished.items()
    assert not [path for path, _ in changed if "lock" not in path.name]
    scores = json.loads((trained / "evaluation.test" / "scores.json").read_text())["scores"]
    assert [score["name"] for score in scores] == ["BLEU, sacreBLEU", "chrF2, sacreBLEU", "TER, sacreBLEU"]
    assert len((trained / "evaluation.test" / "system" / "hyp.txt").read_text().splitlines()) == 10
    assert (trained / "training.png").read_bytes().startswith(b"\x89PNG")
    assert result.stdout.count("\nreference  ") == 5
    assert "version:" in result.stdout  # the signature

    before = files(out)
    again = run(SCRIPT, **env)
    assert files(out) == before
    assert "version:" in again.stdout
    for change, earlier in (({"ALPHA": "7"}, "ALPHA=0.5"), ({"HELDOUT": "11"}, "HELDOUT=10")):
        message = f"was made with other settings ({earlier}): choose another folder with OUT"
        assert_fails(message, SCRIPT, **{**env, **change})
        assert files(out) == before


def test_multi30k_is_trained_from_german(env, tmp_path):
    """The data of en-de serve both directions: the training has begun."""
    trained = tmp_path / "out" / "rdrop"
    env = {**env, **MULTI30K_SETTINGS, "CORPUS": "multi30k", "OUT": str(trained.parent), "MERGES": "70"}
    env["LOCAL_FILES"] = str(write_multi30k(tmp_path))
    kill_when(trained / "train.log", SCRIPT, **env)
    settings = (trained / "settings").read_text()
    assert {"BENCHMARK=multi30k", "SRC=de", "TGT=en"} <= set(settings.splitlines())


def test_no_apt_get_no_download(env, tmp_path):
    """Without apt-get, the other way to the pages is named."""
    without = 'command() { [[ "$*" != "-v apt-get" ]] && builtin command "$@"; }; export -f command; "$0"'
    command = ["bash", "-c", without, TRANSLATION / "prepare-libreoffice.sh"]
    message = "error: no apt-get here to download the LibreOffice help with: name a folder with"
    assert message in run(*command, check=False, **env, OUT=str(tmp_path / "out")).stdout
