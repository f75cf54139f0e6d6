"""What has to run: expansion, packs, the board (facts in, commands out), cost, explain.

Pure code: nothing here starts a process, opens a file or reads a clock. The loop in `sweep.py`
carries out what the board says.
"""
