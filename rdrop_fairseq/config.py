"""The flags of the criterion; with fairseq-hydra-train the keys under ``criterion``."""

from dataclasses import dataclass, field
from typing import List  # not list: fairseq reads the type of a list flag from its name

from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterionConfig
from fairseq.dataclass import ChoiceEnum


@dataclass
class LabelSmoothedCrossEntropyRDropConfig(LabelSmoothedCrossEntropyCriterionConfig):
    rdrop_alpha: float = field(
        default=5.0,
        metadata={"help": "weight of the KL divergence between the passes"},
    )
    rdrop_passes: int = field(
        default=2,
        metadata={
            "help": "number of passes with independent dropout masks; 1: plain training, with the fused loss"
        },
    )
    rdrop_dropout: List[float] = field(
        default_factory=list,
        metadata={
            "help": "a dropout rate for each pass, as 0.1,0.3: the model's highest rate in that pass, its "
            "lower ones (attention, activation) by the same factor"
        },
    )
    rdrop_cutoff: float = field(
        default=0.0,
        metadata={
            "help": "token cutoff: in every pass but the first (of a single one: in that), each token "
            "embedding of source and decoder input is zero with this probability"
        },
    )
    rdrop_forward: ChoiceEnum(["auto", "concat", "separate"]) = field(  # type: ignore[valid-type]
        default="auto",
        metadata={
            "help": "concat: one forward over the batch repeated once per pass; separate: one forward per "
            "pass; auto: concat, but separate where the batch cannot be repeated, or its passes would not be "
            "independent (lstm, LayerDrop, --rdrop-dropout)"
        },
    )
    rdrop_interval: int = field(
        default=1,
        metadata={
            "help": "R-Drop in every N-th update, alpha times N in it, and a single pass in the others: the "
            "expected gradient is the same, at a lower price"
        },
    )
    rdrop_start_update: int = field(
        default=0,
        metadata={"help": "train with one pass, without KL divergence, for this many updates first"},
    )
    rdrop_warmup_updates: int = field(
        default=0,
        metadata={"help": "alpha grows linearly from 0 over this many updates after the start"},
    )
    rdrop_ce_reduction: ChoiceEnum(["sum", "mean"]) = field(  # type: ignore[valid-type]
        default="sum",
        metadata={
            "help": "over the passes' cross entropies: sum as in the paper, or mean "
            "(alpha under sum = passes x alpha under mean)"
        },
    )
    rdrop_loss: ChoiceEnum(["auto", "fused", "plain"]) = field(  # type: ignore[valid-type]
        default="auto",
        metadata={
            "help": "fused: never hold the logits (faster, same numbers); plain: for models without "
            "a plain output projection; auto: fused where the model allows it"
        },
    )
    rdrop_chunk_size: int = field(
        default=0,
        metadata={"help": "fused: target positions to project at a time, 0 chooses"},
    )
