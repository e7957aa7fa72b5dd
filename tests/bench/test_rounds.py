"""Taking turns, and the worker's clock, with contestants that only pretend."""

import pytest
import torch

from benchmarks.job import Job, Size
from benchmarks.rounds import Measured, Worker, WorkerDiedError, jobs_of, measure, take_turns
from benchmarks.worker import Memory, speed_batch

TINY = Size(d_model=4, n_latents=16, k=2, d_embed=2, batch_tokens=8)


class Scripted:
    """A stepper that takes the seconds it is told to and writes down when it was asked."""

    def __init__(self, name, seconds, asked):
        self.name, self.seconds, self.asked = name, iter(seconds), asked

    def step(self):
        self.asked.append(self.name)
        return next(self.seconds)


def test_every_round_asks_everyone_once_and_neighbours_change():
    asked, names = [], "abcd"
    steppers = {name: Scripted(name, range(99), asked) for name in names}
    take_turns(steppers, n_warmup=1, n_rounds=20)
    rounds = ["".join(asked[i : i + 4]) for i in range(0, len(asked), 4)]
    assert len(rounds) == 21 and all(sorted(order) == list(names) for order in rounds)
    before_a = {order[order.index("a") - 1] for order in rounds if order[0] != "a"}
    assert before_a == set("bcd")
    again = []
    take_turns({name: Scripted(name, range(99), again) for name in names}, 1, 20)
    assert again == asked


def test_warm_up_is_not_counted_and_the_median_is_of_the_rest():
    steppers = {"a": Scripted("a", [99, 99, 3, 1, 2], [])}
    seconds = take_turns(steppers, n_warmup=2, n_rounds=3)
    assert seconds == {"a": [3, 1, 2]}
    assert Measured(seconds["a"], Memory(0, 0)).median_s == 2


def test_a_contestant_in_its_own_process_is_timed_step_by_step():
    jobs = jobs_of(["encoder_product", "dense_sae"], Job("", TINY, n_steps=4, lr=1e-3, seed=0))
    measured = measure(jobs, n_warmup=1, n_rounds=2)
    assert list(measured) == ["encoder_product", "dense_sae"]
    for found in measured.values():
        assert len(found.seconds) == 2 and all(taken > 0 for taken in found.seconds)
        assert found.memory.peak > 0


def test_a_worker_that_dies_is_named():
    wrong = Size(d_model=4, n_latents=1, k=2, d_embed=2, batch_tokens=8)  # k > n_latents
    worker = Worker(Job("dense_sae", wrong, n_steps=2, lr=1e-3, seed=0))
    with pytest.raises(WorkerDiedError, match="dense_sae"):
        worker.step()


def test_the_batch_of_a_step_is_the_same_for_everyone():
    jobs = jobs_of(["sparsify", "saelens"], Job("", TINY, n_steps=4, lr=1e-3, seed=0))
    first, second = (speed_batch(job, 3) for job in jobs.values())
    assert torch.equal(first, second)
    assert not torch.equal(first, speed_batch(jobs["saelens"], 4))
