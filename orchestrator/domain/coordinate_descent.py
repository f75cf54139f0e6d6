"""Quadratics with an absolute-value penalty, minimised one coordinate at a time, for whole packs.

Always the coordinate whose step lowers the objective most when its own curvature is counted (the
Gauss-Southwell rule with Lipschitz constants), and now and then all that are not zero together, as
far as their signs stay right (feature-sign search); proved by the duality gap.

Source: Nutini et al. (2015), arXiv:1506.00552, for the order of coordinates; Lee, Battle, Raina &
Ng (2006), "Efficient sparse coding algorithms", NIPS 19, for the solves on a face; Kim et al.
(2007), "An interior-point method for large-scale l1-regularized least squares", IEEE J. Sel. Top.
Signal Process. 1(4), for the gap.
"""

from dataclasses import dataclass

import torch

LOOK_EVERY = 32
"""Updates between two looks at the duality gap, which costs as much as one. Chosen by hand."""

FACE_EVERY = 128
"""Updates between two solves on the coordinates that are not zero. Chosen by hand."""


@dataclass(frozen=True)
class Quadratic:
    """w'H w / 2 - b'w + size / 2 + penalty |w|_1 of each trial, H = X'X / n and b = X'y / n.

    curvature H (B, d, d), slope b (B, d), size |y|^2 / n (B,), penalty (B,).
    """

    curvature: torch.Tensor
    slope: torch.Tensor
    size: torch.Tensor
    penalty: torch.Tensor

    def of(self, trial: int) -> "Quadratic":
        """One trial of the pack, as a pack of one."""
        one = slice(trial, trial + 1)
        return Quadratic(self.curvature[one], self.slope[one], self.size[one], self.penalty[one])

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        """B - H w for the w of one trial or of all: (B, d)."""
        return self.slope - (self.curvature * w.reshape(len(self.slope), 1, -1)).sum(2)

    def gap(self, w: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Duality gap over size / 2 of w, where `gradient` = b - H w: (B, d) -> (B,)."""
        fitted = (self.slope * w).sum(1)
        residual = self.size - fitted - (gradient * w).sum(1)
        steepest = gradient.abs().amax(1)
        return relative_gap(self.size, fitted, residual, steepest, w.abs().sum(1), self.penalty)


def relative_gap(
    size: torch.Tensor,
    fitted: torch.Tensor,
    residual: torch.Tensor,
    steepest: torch.Tensor,
    weight: torch.Tensor,
    penalty: torch.Tensor | float,
) -> torch.Tensor:
    """Objective minus dual bound, over size / 2; size |y|^2 / n, fitted y'Xw / n, residual |r|^2/n.

    The dual point is s r / n with s = min(1, penalty / steepest), steepest |X'r|_inf / n.
    """
    s = torch.where(steepest > penalty, penalty / steepest, 1.0)
    primal = residual / 2 + penalty * weight
    dual = s * (size - fitted) - s.square() * residual / 2
    scale = torch.where(size == 0, 1.0, size / 2)
    return (primal - dual).clamp(min=0.0) / scale


def descended(quadratic: Quadratic, gap: float, steps: int) -> torch.Tensor:
    """Coordinate descent from w = 0 until each trial's gap is half of `gap`: (B, d).

    A trial that is there, or is not finite, stands still from then on.
    """
    H, penalty = quadratic.curvature, quadratic.penalty[:, None]
    diagonal = H.diagonal(dim1=1, dim2=2).contiguous()
    inverse = torch.where(diagonal > 0, 1.0 / diagonal, 0.0)
    trials = torch.arange(len(H), device=H.device)
    w, gradient = torch.zeros_like(quadratic.slope), quadratic.slope.clone()
    active = H.flatten(1).isfinite().all(1) & gradient.isfinite().all(1)
    for step in range(steps):
        if step % FACE_EVERY == FACE_EVERY - LOOK_EVERY:
            for trial in active.nonzero()[:, 0].tolist():
                w[trial] = on_face(quadratic.of(trial), w[trial])
                gradient[trial] = quadratic.of(trial).gradient(w[trial])[0]
        if step % LOOK_EVERY == 0:
            active = active & (quadratic.gap(w, gradient) > gap / 2)
            if not bool(active.any()):
                break
        pulled = w * diagonal + gradient
        wanted = (pulled - pulled.clamp(-penalty, penalty)) * inverse
        change = wanted - w
        best = (change.square() * diagonal).argmax(1, keepdim=True)
        change = torch.where(active[:, None], change.gather(1, best), 0.0)
        w.scatter_add_(1, best, change)
        gradient -= H[trials, best[:, 0]] * change
    return w


def on_face(quadratic: Quadratic, w: torch.Tensor) -> torch.Tensor:
    """The minimum for one trial (d,) over the coordinates where w is not zero, with w's signs.

    Where that minimum has another sign, w goes towards it until a coordinate is zero, which leaves
    the face; so the objective never rises. Where the face has no unique minimum, w stays.
    """
    w = w.clone()
    while len(face := w.nonzero()[:, 0]):
        signs, now = w[face].sign(), w[face]
        factor, broken = torch.linalg.cholesky_ex(quadratic.curvature[0][face][:, face])
        right = quadratic.slope[0][face] - quadratic.penalty[0] * signs
        aim = torch.cholesky_solve(right[:, None], factor)[:, 0]
        if int(broken) or not bool(aim.isfinite().all()):
            break
        share = torch.where(aim * signs > 0, torch.inf, now / (now - aim))
        first = int(share.argmin())
        if not bool(share[first] < torch.inf):
            w[face] = aim
            break
        w[face] = now + share[first] * (aim - now)
        w[face[first]] = 0.0
    return w
