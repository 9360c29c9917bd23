"""R-Drop in the Trainer of Hugging Face transformers, which ``pip install '.[huggingface]'`` brings."""

import traceback

try:
    from .trainer import RDropSeq2SeqTrainer, RDropTrainer
except (ImportError, OSError, RuntimeError) as error:
    if "torchaudio" not in "".join(traceback.format_exception(type(error), error, error.__traceback__)):
        raise
    reason = str(error.__cause__ or error).splitlines()[0]
    raise ImportError(
        f"the Trainer of transformers imports torchaudio, which does not load here ({reason}): "
        "pip uninstall torchaudio, or install the build of it that fits this torch"
    ) from None

__all__ = ["RDropSeq2SeqTrainer", "RDropTrainer"]
