"""Random streams depend on their names and on nothing else."""

import numpy as np
import torch

from fispace.seeds import named_streams, numpy_stream, stream_seed, torch_stream


def test_a_stream_is_fixed_for_ever():
    # a change of this number would change every result
    assert stream_seed(0, "train", 1, "order") == 1830339848500328649


def test_names_are_separated():
    assert stream_seed(0, "ab", "c") != stream_seed(0, "a", "bc")
    assert stream_seed(0, 1, 2) != stream_seed(0, 12)


def test_streams_of_other_names_are_independent():
    first, second = (numpy_stream(0, "x", i).normal(size=4000) for i in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.06  # 3.8 standard errors


def test_equal_names_give_equal_draws_in_both_libraries():
    assert np.array_equal(numpy_stream(3, "a").random(5), numpy_stream(3, "a").random(5))
    draws = [torch.rand(5, generator=torch_stream(3, "a")) for _ in range(2)]
    assert torch.equal(*draws)


def test_a_stream_leaves_global_generators_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    torch.rand(3, generator=torch_stream(0, "x"))
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_streams_used_are_named_for_the_record_and_equal_draws_are_counted_as_one():
    with named_streams() as outer:
        numpy_stream(7, "train", 1, "order")
        with named_streams() as inner:
            for item in range(3):
                torch_stream(7, "battery", "drawn", item, item + 1)
    stream_seed(7, "afterwards")
    assert inner == {"7/battery/drawn/#"}
    assert outer == {"7/battery/drawn/#", "7/train/1/order"}
