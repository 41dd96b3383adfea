"""Optimal one-to-one assignment, for a few dozen items: cheaper than importing a numerical library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from verifiers.reading.share import share

Several = Literal["max", "f1"]


def best_assignment(weight: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs (row, column) of a matching of largest total weight; every row or every column is matched.

    weight: [rows, columns], finite. The Hungarian algorithm with potentials (Kuhn 1955, Munkres 1957),
    O(rows^2 * columns) once the shorter side is taken as rows.
    """
    if not weight or not weight[0]:
        return []
    rows, columns = len(weight), len(weight[0])
    if rows == 1:
        return [(0, max(range(columns), key=weight[0].__getitem__))]
    if rows > columns:
        turned = [[weight[r][c] for r in range(rows)] for c in range(columns)]
        return sorted((r, c) for c, r in best_assignment(turned))
    infinity = float("inf")
    row_potential = [0.0] * (rows + 1)
    column_potential = [0.0] * (columns + 1)
    matched_row = [0] * (columns + 1)  # 1-based; 0 means free
    for row in range(1, rows + 1):
        matched_row[0] = row
        column = 0
        slack = [infinity] * (columns + 1)
        previous = [0] * (columns + 1)
        used = [False] * (columns + 1)
        while matched_row[column]:
            used[column] = True
            current, delta, following = matched_row[column], infinity, 0
            for j in range(1, columns + 1):
                if used[j]:
                    continue
                cost = -weight[current - 1][j - 1] - row_potential[current] - column_potential[j]
                if cost < slack[j]:
                    slack[j], previous[j] = cost, column
                if slack[j] < delta:
                    delta, following = slack[j], j
            for j in range(columns + 1):
                if used[j]:
                    row_potential[matched_row[j]] += delta
                    column_potential[j] -= delta
                else:
                    slack[j] -= delta
            column = following
        while column:
            matched_row[column] = matched_row[previous[column]]
            column = previous[column]
    return sorted((matched_row[j] - 1, j - 1) for j in range(1, columns + 1) if matched_row[j])


def matched_score(pairs: Sequence[float], num_wanted: int, num_found: int, several: Several = "max") -> float:
    """What the weights in [0, 1] of matched pairs are worth together, in [0, 1].

    ``max``: sum / max(wanted, found). ``f1``: 2 sum / (wanted + found), the harmonic mean of the precision sum / found
    and the recall sum / wanted; a weight is then how much of a hit a pair is (Kimi K2.5, arXiv 2602.02276: F1 with
    soft matching by IoU or by Gaussian distance).

    >>> matched_score([1.0], 1, 2), matched_score([1.0], 1, 2, "f1") == 2 / 3
    (0.5, True)
    """
    whole = max(num_wanted, num_found) if several == "max" else (num_wanted + num_found) / 2
    return share(sum(pairs), whole)
