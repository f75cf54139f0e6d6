"""The MLflow UI of a store with 10,000 cells beside one with 10 runs, in one browser.

    python -m benchmarks.browse [--cells 10000] [--repeats 4] [--rounds 5]

Both stores are made by real sweeps and served by `phasefront ui`. A headless Chromium, driven over
its DevTools protocol, opens the same pages of both by turns: first page, a sweep's cells, a filter
on d and learner. A time is from asking for the page until its rows and their number are there and
no request is under way.
"""
