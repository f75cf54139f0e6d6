"""The parts of `inference.law`: families of curves, their posteriors, and two ways to get those.

`families` says which curves compete, `fit` what is known of one, `outcomes` finds that from the
successes and failures themselves, `intervals` from thresholds of which only intervals are known.
"""
