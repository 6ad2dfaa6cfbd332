"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, for the few small matrices of a fitted picture.

Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024.  Matrices of all layers are stepped in their
rotated bases, vectors as Adam does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]  # in float32 the turning bases lose steep directions, and fits run away

BETAS = (0.95, 0.95)
DECAY = 0.01  # of weights, per step at rate 1
EPSILON = 1e-8


@dataclass
class _Matrix:
    place: slice
    shape: tuple[int, int]
    left: Doubles  # running means of G G' and G' G, and their eigenvectors
    right: Doubles
    left_basis: Doubles
    right_basis: Doubles

    def rotated(self, x: Doubles) -> Doubles:
        turned: Doubles = self.left_basis.T @ x[self.place].reshape(self.shape) @ self.right_basis
        return turned

    def see(self, gradient: Doubles, weight: float) -> None:
        g = gradient[self.place].reshape(self.shape)
        self.left += weight * (g @ g.T - self.left)
        self.right += weight * (g.T @ g - self.right)


class Soap:
    """Steps of one flat vector of parameters.

    Args:
        size: Parameters.
        matrices: (first parameter, rows, columns) of each matrix; what belongs to none is stepped by Adam.
        every: Steps between two turns of the bases.
    """

    def __init__(self, size: int, matrices: Sequence[tuple[int, int, int]], every: int) -> None:
        self.every, self.steps = every, 0
        self.first = np.zeros(size, np.float64)
        self.second = np.zeros(size, np.float64)  # of matrices in their bases
        self.plain = np.ones(size, np.bool_)
        self.matrices = []
        for at, rows, columns in matrices:
            place = slice(at, at + rows * columns)
            self.plain[place] = False
            empty = (np.zeros((rows, rows), np.float64), np.zeros((columns, columns), np.float64))
            bases = (np.eye(rows, dtype=np.float64), np.eye(columns, dtype=np.float64))
            self.matrices.append(_Matrix(place, (rows, columns), *empty, *bases))

    def step(self, parameters: NDArray[Any], gradient: NDArray[Any], rate: float) -> None:
        """Change `parameters` in place.  The first call only looks at the gradient, to find the bases."""
        beta1, beta2 = BETAS
        if self.steps == 0:
            for matrix in self.matrices:
                matrix.see(gradient, 1 - beta2)
                matrix.left_basis, matrix.right_basis = _eigenvectors(matrix.left), _eigenvectors(matrix.right)
            self.steps = 1
            return
        self.first += (1 - beta1) * (gradient - self.first)
        plain = self.plain
        self.second[plain] += (1 - beta2) * (np.square(gradient[plain]) - self.second[plain])
        change = np.empty_like(parameters)
        change[plain] = self.first[plain] / (np.sqrt(self.second[plain]) + EPSILON)
        for matrix in self.matrices:
            second = self.second[matrix.place].reshape(matrix.shape)
            second += (1 - beta2) * (np.square(matrix.rotated(gradient)) - second)
            turned = matrix.rotated(self.first) / (np.sqrt(second) + EPSILON)
            change[matrix.place] = (matrix.left_basis @ turned @ matrix.right_basis.T).ravel()
            matrix.see(gradient, 1 - beta2)
            if self.steps % self.every == 0:
                _turn(matrix, second)
        correction = math.sqrt(1 - beta2**self.steps) / (1 - beta1**self.steps)
        parameters -= rate * correction * change
        parameters -= rate * DECAY * parameters
        self.steps += 1


def _eigenvectors(symmetric: Doubles) -> Doubles:
    """Largest first."""
    vectors: Doubles = np.linalg.eigh(symmetric)[1][:, ::-1].astype(np.float64)
    return vectors


def _turn(matrix: _Matrix, second: Doubles) -> None:
    """One step of power iteration for each basis; `second` follows the order of their vectors."""
    for axis in (0, 1):
        symmetric, basis = (matrix.left, matrix.left_basis) if axis == 0 else (matrix.right, matrix.right_basis)
        order = np.argsort(-np.einsum("ij,ij->j", basis, symmetric @ basis))
        second[...] = np.take(second, order, axis)
        turned = np.linalg.qr(symmetric @ basis[:, order] + np.float64(1e-30))[0].astype(np.float64)
        if axis == 0:
            matrix.left_basis = turned
        else:
            matrix.right_basis = turned
