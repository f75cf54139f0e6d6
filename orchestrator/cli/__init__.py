"""The command line: words and tables over `orchestrator.api`.

Exit status: 0 answered; 1 failed; 2 the request is wrong and nothing ran; 3 answered with gaps or a
limit reached; 4 the tracker or cluster is unreachable; 130 interrupted.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        from orchestrator.cli.app import main as run
    except KeyboardInterrupt:  # loading takes seconds, and nothing has begun
        sys.exit(130)
    run()
