"""Shapley values and leave-one-out values of a game given by its value on every coalition.

Must not: know what the players are, or where the values come from.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial

import numpy as np

Coalition = frozenset[str]
Game = Mapping[Coalition, np.ndarray]
"""Value of every coalition: a number, or an array with one number per resample."""


def coalitions(players: Sequence[str]) -> list[Coalition]:
    """All subsets of the players, smallest first."""
    sizes = range(len(players) + 1)
    return [frozenset(chosen) for size in sizes for chosen in combinations(players, size)]


def shapley_value(values: Game, player: str) -> np.ndarray:
    """Shapley value: mean of what the player adds over all orders in which players can join.

    phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)); the values of all
    players sum to v(all) - v(none). Source: Shapley 1953.

    Raises:
        KeyError: if the value of a coalition is missing.
    """
    players = sorted(frozenset[str]().union(*values))
    others = [name for name in players if name != player]
    n = len(players)
    total = np.zeros(())
    for rest in coalitions(others):
        weight = factorial(len(rest)) * factorial(n - len(rest) - 1) / factorial(n)
        total = total + weight * (values[rest | {player}] - values[rest])
    return np.asarray(total)


def leave_one_out(values: Game, player: str) -> np.ndarray:
    """What the player adds when it joins last: v(all) - v(all without i). These need not sum to the total.

    Raises:
        KeyError: if the value of a coalition is missing.
    """
    everyone = frozenset[str]().union(*values)
    return np.asarray(values[everyone] - values[everyone - {player}])


def total_value(values: Game) -> np.ndarray:
    """Value of all players together: v(all) - v(none)."""
    return np.asarray(values[frozenset[str]().union(*values)] - values[frozenset()])
