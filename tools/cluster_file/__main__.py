"""Print what is wrong in ``cluster.yaml``, and what is still to be filled in."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.cluster_file.checks import faults_of, unfilled_in
from tools.cluster_file.loading import ClusterFileError, load


def main(arguments: list[str]) -> int:
    """Return the exit status: 1 when something is wrong or missing."""
    path = Path(arguments[0] if arguments else "cluster.yaml")
    try:
        cluster = load(path.read_text())
    except (ClusterFileError, OSError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    lines = faults_of(cluster) + [f"to fill in: {one}" for one in unfilled_in(cluster, path.parent)]
    for line in lines:
        print(f"{path}: {line}", file=sys.stderr)
    if not lines:
        print(f"{path}: nothing is wrong")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
