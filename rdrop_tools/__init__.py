"""The tools that the recipes call: texts, scores, trainings.

Each is a module to run: ``python -m rdrop_tools.scoring.score_rouge --help``; some are commands, too.
A module imports what an extra brings where it is used, so that ``cli.run`` can name the extra.
"""

import sys

if sys.version_info < (3, 10):
    sys.exit("error: the tools need Python 3.10 or newer; the losses and the criterion do not")
