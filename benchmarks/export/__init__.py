"""Export of a sweep of a million trials: seconds and memory of `phasefront export`.

    python -m benchmarks.export [--trials 1000000]

The ledger is filled through the tracker, in this process and without training; each export is a
process of its own, whose peak memory the system counts.
"""
