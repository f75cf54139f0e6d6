"""Thresholds of real learners beside known ones, and what search, grid and oracle cost.

    python -m benchmarks.known_thresholds                 five systems: the table
    python -m benchmarks.known_thresholds cover           one system
    python -m benchmarks.known_thresholds --table         train nothing, print what there is
    python -m benchmarks.known_thresholds --coverage 20   cover.yaml at 20 seeds: is 2d inside?
    python -m benchmarks.known_thresholds --kills 10      a driver killed ten times, beside one
                                                          that was left alone

`systems` says what is known, `training` trains a sweep in this process, `runs` what is missing,
`records` keeps it (a run that was killed goes on where it stopped), `bound` prices an oracle,
`costs` judges, `table` prints.

Seconds are CPU seconds of packs, so that neighbours on the machine count little: of one process
with one torch thread, packs as the board makes them for one slot, warmed up by one pack per arm
that is not counted. Search and grid are measured alike. What the search spends on its own decisions
is no training and is printed apart.

search   trials and seconds until every threshold is settled; means over seeds
grid     every rung of the ladder over [n*/10, 10 n*] at each (d, k), n* being theory's, with 20
         repeats, as `search: {kind: grid}` trains it. Where that is predicted to take longer than
         `runs.MOST_S` at one (d, k), fewer repeats are trained at every rung and scaled up, and the
         row says so; `--whole` trains them all
oracle   what someone who knew each curve but its place would need for the intervals asked,
         threshold by threshold; see `bound`

The goal: every threshold known as its file asks and close to theory; and the search at least 20
times cheaper in seconds than the grid where the oracle is, else at most twice the oracle.
"""
