"""How a model is trained: what a run is made of, its loop, its folder, its checkpoints."""
