"""Speed of the engine beside its goals, and beside what somebody would run instead.

    python -m benchmarks.engine                    everything, in about a quarter of an hour
    python -m benchmarks.engine machinery growth   only those parts
    python -m benchmarks.engine nets --sizes medium --ways ours ray_tasks

`machinery` runs a learner that does nothing, so that what is left is the price of a trial:
expanded, begun, sent to a worker, committed, mirrored. `growth` asks whether that price and the
driver's memory stay what they are from 10^3 trials to 10^5 (10^6 with `--million`), and what a
large sweep costs to plan and to resume. `nets` trains two-layer networks of three sizes in our way
and in those of peers, in turn, each way in a fresh process, and compares medians. Every line shows
a goal beside a result.

Times are wall seconds once everything has started; shares and prices are CPU seconds, which
neighbours on the machine move less.
"""
