"""The page Particle lab: its controls, and its picture with what stands under it."""
