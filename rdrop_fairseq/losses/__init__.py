"""The R-Drop losses on tensors. Nothing here imports fairseq or another framework."""
