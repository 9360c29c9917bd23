"""How the losses and a training step perform: time, memory, operations, beside other implementations."""

import rdrop_tools  # noqa: F401  a package that is missing is named with its extra
