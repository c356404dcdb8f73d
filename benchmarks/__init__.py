"""What the lab costs in time; each module is run on its own."""
