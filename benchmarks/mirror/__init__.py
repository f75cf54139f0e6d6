"""How fast MLflow is told, and whether it knows everything after its server had a bad day.

    python -m benchmarks.mirror [rate] [faults] [--kills 5]

`rate` tells a store of its own the trials of a ledger, 64 a cell, in MLflow's SQLite file and over
HTTP to a server on the same machine. `faults` answers a sweep over HTTP while the server is killed
and every twentieth reply is lost, and then compares the ledger with MLflow trial by trial.
"""
