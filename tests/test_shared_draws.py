"""Random numbers of a training step as processes share them out, and those that every process gets whole."""

import torch

from lflow.draws import Draws
from lflow.noise import NORMAL, UNIFORM


def test_shares_one_after_another_are_the_global_batch() -> None:
    alone = Draws(1, 2)
    whole = [alone.normal((6, 3)), alone.uniform((6,)), alone.integers(9, (6, 2))]
    shares = [Draws(1, 2, rank=rank, world_size=3) for rank in range(3)]
    parts = [[each.normal((2, 3)), each.uniform((2,)), each.integers(9, (2, 2))] for each in shares]
    for place, numbers in enumerate(whole):
        assert torch.equal(torch.cat([part[place] for part in parts]), numbers)


def test_whole_draws_are_the_same_on_every_process_and_of_one_stream_with_the_shares() -> None:
    alone = Draws(1, 2)
    first, chain, last = alone.normal((4, 3)), alone.whole().normal((1, 2, 5)), alone.uniform((4,))
    for rank in range(2):
        draws = Draws(1, 2, rank=rank, world_size=2)
        half = slice(2 * rank, 2 * rank + 2)
        assert torch.equal(draws.normal((2, 3)), first[half])
        assert torch.equal(draws.whole().normal((1, 2, 5)), chain)
        assert torch.equal(draws.uniform((2,)), last[half])
        assert (draws.rank, draws.world_size, draws.whole().world_size) == (rank, 2, 1)


def test_a_chain_that_all_processes_run_gets_one_noise() -> None:
    x = torch.zeros(1, 2, 5)
    noises = [Draws(1, 2, rank=k, world_size=2).whole().step_noise(x, (NORMAL, UNIFORM)) for k in (0, 1)]
    assert torch.equal(noises[0].primary, noises[1].primary)
    assert [extra.shape for extra in noises[0].extra] == [(1, 2, 5), (1,)]
    assert all(torch.equal(a, b) for a, b in zip(noises[0].extra, noises[1].extra, strict=True))
    shared = [Draws(1, 2, rank=k, world_size=2).step_noise(x, ()).primary for k in (0, 1)]
    assert not torch.equal(*shared)  # what chains of their own get
