"""The statistics: from counts of successes to thresholds and laws. numpy and scipy only.

`threshold.py` holds the values that go in and come out, `ladder.py` the values of n that search
tries. `psychometric.py` is the model and its fit: `link.py` success against log n, `prior.py` what
is believed before any trial, `settings.py` the slopes and scales that are averaged over,
`likelihood.py` one cell's data on nodes, `nodes.py` where the nodes lie, `coupling.py` many cells
at once. `posterior.py` is what is known then, `verdict.py` the status of each threshold,
`audit.py` and `monotone.py` whether success falls again, `best.py` the best of several settings,
`design.py` the choice of the next round, `law.py` with `laws/` the scaling laws, `comparison.py`
two arms side by side, `outlook.py` what more trials would bring. The README tells it as a whole.
"""
