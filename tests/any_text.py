"""Any text, for tests of what holds for every one: by Hypothesis, the same examples in every run."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# White space, line ends, controls, what normalisation or BPE changes: half of all characters. As an alphabet
# of st.text they would be merged with the others, and be as rare.
MARKS = " \t\r\n\x00\x0b\x0c\x1b\x1c\x85\u00a0\u00ad\u200b\u2028\u2029\u3000\ufeff@ﬁ½Åe\u0301"
CHARACTERS = st.sampled_from(["\r\n", " \n", *MARKS]) | st.characters(codec="utf-8")
TEXTS = st.lists(CHARACTERS, max_size=20).map("".join)
SETTINGS = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example writes over the one before
)


def for_any_text(test):
    """A decorator: the test gets ``text``."""
    return SETTINGS(given(text=TEXTS)(test))
