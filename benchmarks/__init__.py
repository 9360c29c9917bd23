"""How the losses and a training step perform: time, memory, operations, beside other implementations."""
