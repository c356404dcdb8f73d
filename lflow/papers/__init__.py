"""The papers' experiments, one module each: small and honest, as numbers and a figure.

A paper is a module with a TITLE and four functions (`experiment.Paper`): the jobs, the work of one, what all
of them say, and the figure. To add one, write the module and name it here; NAME-train is what
`lflow paper NAME --train` runs.
"""

PAPERS = {
    "dynamical-system": "lflow.papers.dynamical_system",
    "anila": "lflow.papers.anila",
    "anila-train": "lflow.papers.anila_training",
    "coopflow": "lflow.papers.coopflow",
    "latent-flow": "lflow.papers.latent_flow",
    "langevin-vae": "lflow.papers.langevin_vae",
    "lae": "lflow.papers.lae",
}
