"""The files under `cluster/` are ones that Ray accepts, and never leave the door open."""

from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = Path(__file__).parents[2] / "cluster"


def test_rays_launcher_accepts_the_local_file():
    config = yaml.safe_load((CLUSTER / "local.yaml").read_text())
    validate_config(prepare_config(config))


def test_every_node_of_the_local_file_starts_with_token_authentication():
    config = yaml.safe_load((CLUSTER / "local.yaml").read_text())
    starts = [
        command
        for when in ("head_start_ray_commands", "worker_start_ray_commands")
        for command in config[when]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)


def test_the_local_file_ends_no_ray_for_that_would_end_others_too():
    config = prepare_config(yaml.safe_load((CLUSTER / "local.yaml").read_text()))
    commands = [
        line for key, lines in config.items() if key.endswith("_commands") for line in lines
    ]
    assert commands
    assert not [line for line in commands if "ray stop" in line]
