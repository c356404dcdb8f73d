"""The page Images: the model whose energy is sampled, its runs, its picture, its words."""
