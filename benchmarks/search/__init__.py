"""Simulated problems on which threshold search is measured, beside an oracle and its peers.

    python -m benchmarks.search               run all that is missing, then print the table
    python -m benchmarks.search --quick       the same in a quarter of an hour on two cores
    python -m benchmarks.search --table       print the table from the results that are there

`families` draws problems, `methods` spend outcomes on them, `runner` runs what is missing and
`table` judges. Truth is known, outcomes are 0/1, and outcome number i of a problem hangs on the
same piece of luck whoever asks. Results lie under `results/METHOD/FAMILY.jsonl`, one line a
problem; a run that was killed goes on where it stopped. Peers that need packages of their own live
in environments of their own (`make bench-peers`); without them they are left out, and the table
shows the results of theirs that are kept in the repository.
"""
