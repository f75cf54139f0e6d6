"""The statistics: from counts of successes to thresholds and laws. numpy and scipy only.

`threshold.py` holds the values that go in and come out, `psychometric.py` the model and its
posterior, `design.py` the choice of the next batch, `law.py` the scaling laws, `ladder.py` the
values of n that search tries.
"""
