"""The science: targets, learners, trials, and the one door to training, `run_pack`.

Imports torch, numpy, scipy and pydantic only; a test proves it. What is learned here knows nothing
of where it runs, where it is recorded, or who chose it.

MKL picks code paths by the alignment and size of its operands unless told otherwise; with
`MKL_CBWR=AUTO,STRICT` a trial's last bits no longer depend on its place in a pack. It is read when
MKL is first used, so it is set here, before torch is imported.
"""

import os

os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
