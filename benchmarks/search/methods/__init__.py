"""Ways to spend outcomes on a problem: ours, an oracle, and peers, one module each."""
