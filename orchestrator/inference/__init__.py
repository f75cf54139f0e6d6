"""The statistics: from counts of successes to thresholds and laws. numpy and scipy only.

`threshold.py` holds the values that go in and come out, `ladder.py` the values of n that search
tries. `psychometric.py` is the model and its fit: `link.py` success against log n, `prior.py` what
is believed before any trial, `likelihood.py` one cell's data on nodes, `nodes.py` where the nodes
lie, `coupling.py` many cells at once. `posterior.py` is what is known then, `verdict.py` the status
of each threshold, `monotone.py` whether success falls again, `design.py` the choice of the next
round, `law.py` with `laws/` the scaling laws, `comparison.py` two arms side by side, `outlook.py`
what more trials would bring.
"""
