"""Laws from successes and failures themselves: every family is a prior of its own on thresholds.

    m = log n_star ~ basis . coefficients + offset + tau e,    e ~ N(0, I)

takes the place of the near power law that thresholds are sought under (`prior`), and expectation
propagation (`coupling`) gives the evidence and the coefficients for each tau, each form of the
success curve and each slope that the posterior of the thresholds left standing.

Why not regress on the thresholds that were found: these lean on one another and on a power law
already. Measured on simulated sweeps (60 problems of each family, 6 or 12 thresholds, 12 to 24
outcomes each, exact laws), 95% intervals of exponents covered 92% with thresholds' own intervals
taken as independent, 83 to 100% by family; 95% with their joint covariance, but 87% for exponential
and binomial laws, and a law with a logarithm was called a plain power in up to 5% of problems.
Fitting thresholds apart, or dividing the prior out of a Gaussian posterior, cost two to ten times
the width: a cell with few outcomes is no Gaussian before its neighbours speak.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.inference.coupling import couple
from orchestrator.inference.laws.families import Form
from orchestrator.inference.laws.fit import Fit, coefficient_prior
from orchestrator.inference.laws.scatter import log_prior
from orchestrator.inference.likelihood import Table
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.prior import Prior
from orchestrator.inference.settings import Settings

Array = NDArray[np.float64]

SCATTERS: Array = np.geomspace(0.004, 4.0, 10)
"""Values of tau averaged over, nats. The largest leaves cells nearly to themselves, so that the
iteration settles for at least one of them, however badly the family fits."""


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of C cells: d, k (C,), their tables, the prior weights of the curve's forms
    (F,), a typical log n_star, what is believed of the cells, and the slopes that may be theirs.
    """

    d: Array
    k: Array
    tables: tuple[Table, ...]
    form_weights: Array
    centre: float
    believed: Prior
    slopes: Settings

    @staticmethod
    def of(posterior: Posterior, used: Sequence[int]) -> "Outcomes":
        """The outcomes behind the asked thresholds `used`, on the posterior's own tables."""
        cells = [posterior.cell(i) for i in used]
        known, believed = posterior.marginals, posterior.marginals.believed
        form_weights = np.array([form.weight for form in known.forms])
        return Outcomes(
            d=np.array([posterior.asked[i].d for i in used], float),
            k=np.array([posterior.asked[i].k for i in used], float),
            tables=tuple(known.tables[cell] for cell in cells),
            form_weights=form_weights / form_weights.sum(),
            centre=float(np.mean([posterior.log_n_star(i)[0] for i in used])),
            believed=replace(
                believed,
                cells=tuple(believed.cells[cell] for cell in cells),
                mean=believed.mean[cells],
                loads=believed.loads[:, cells],
                log_d=believed.log_d[cells],
                reach=believed.reach[cells],
            ),
            slopes=known.settings.slopes(),
        )


def fitted(outcomes: Outcomes, form: Form) -> Fit:
    """The posterior of one family, scatters averaged."""
    basis, offset = form.basis(outcomes.d, outcomes.k), form.offset(outcomes.d, outcomes.k)
    prior_variance = coefficient_prior(basis.shape[1])
    cells = len(basis)
    law = outcomes.centre + offset - offset.mean()
    loads = np.repeat((basis * np.sqrt(prior_variance))[None], len(SCATTERS), axis=0)
    believed = replace(outcomes.believed, mean=law, loads=loads, own=SCATTERS)
    settings, _ = outcomes.slopes.with_scales(log_prior(SCATTERS))
    coupled = couple(believed, outcomes.tables, np.arange(cells), outcomes.form_weights, settings)
    scatters = SCATTERS[settings.scale]
    variance = scatters[:, None, None] ** 2
    # given log n_star and tau, coefficients follow by regression: gain . (log n_star - law) + rest
    rest = np.linalg.inv(basis.T @ basis + variance * np.diag(1.0 / prior_variance))
    gain = rest @ basis.T
    means = np.einsum("hpc,hc->hp", gain, coupled.mean - law)
    means[:, 0] += outcomes.centre - offset.mean()
    spread = gain @ coupled.covariance @ gain.transpose(0, 2, 1)
    terms = coupled.log_evidence + settings.log_weight
    log_evidence = float(np.logaddexp.reduce(terms))
    weights = np.exp(terms - log_evidence)
    if not coupled.is_settled:  # no setting's evidence is to be believed
        log_evidence = -1e9
    return Fit(form, log_evidence, weights, means, spread + variance * rest, scatters)
