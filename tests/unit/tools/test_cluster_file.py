"""cluster.yaml is found good, and each of the typos that are planted in it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.cluster_file.__main__ import main
from tools.cluster_file.checks import faults_of, unfilled_in
from tools.cluster_file.loading import ClusterFileError, load

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "cluster.yaml").read_text()

TYPOS = [
    # Ray's schema.
    ("upscaling_speed: 1.0", "upscaling_sped: 1.0", "upscaling_sped"),
    ("max_workers: 32", "max_workers: '32'", "'32' is not of type 'integer'"),
    ("head_node_type: head", "head_node_type: haed", "head_node_type"),
    ("    idle_timeout_s: 120\n", "    idle_timout_s: 120\n", "idle_timout_s"),
    ("    ssh_user: ubuntu".strip(), "ssh_usr: ubuntu", "ssh_usr"),
    # What Ray takes without a word.
    ("cache_stopped_nodes: false", "cache_stoped_nodes: false", "cache_stoped_nodes"),
    ("max_workers: 32", "max_workers: 23", "max_workers is 23"),
    (
        "{pagemill/pool: serving}",
        "{pagemill/pool: serveing}",
        "pagemill/pool: serveing is none of Pagemill's",
    ),
    ("{pagemill/pool: training}", "{pagemill/pol: training}", "pagemill/pol: training is none of Pagemill's"),
    ("{CPU: 8, memory:", "{CPU: 8, memroy:", "the resource memroy is used by nothing"),
    ("priority: 10", "priority: 0", "a spot type has a priority"),
    ("idle_timeout_s: 300", "idle_timeout_s: 3000", "idle_timeout_s is not from 60 to 900"),
    # What EC2 would refuse, when the machine is wanted.
    ("InstanceType: g6.xlarge", "InstnceType: g6.xlarge", "InstnceType"),
    ("InstanceType: m7i.2xlarge", "InstanceType: m7i.2xlrage", "EC2 does not know m7i.2xlrage"),
    ("{MarketType: spot}", "{MarketType: sopt}", "EC2 does not know sopt"),
    ("VolumeSize: 100", "VolumeSize: much", "VolumeSize"),
    ("HttpTokens: required", "HttpTokens: optional", "HttpTokens is not `required`"),
    ("SecurityGroupIds: [sg-00000000000000000]", "SubnetIds: [subnet-1]", "port 22 is open to everybody"),
    # Commands.
    ("/dev/null 2>&1; then list", "/dev/null 2>&1 then list", "no shell understands"),
    ("exit 1; }\n    END", "exit 1;\n    END", "no shell understands"),
    ("--require-hashes -r", "-r", "pip installs from an index what has no hash"),
    ("--require-hashes -r ~/pagemill/dist/$list", "pagemill", "pip installs from an index"),
    ("pagemill node start --restart", "pagemil node start --restart", "head_start_ray_commands: one command"),
    ("node start --restart", "node strat --restart", "one command"),
    ("--spot-notices=", "--spot-notice-url=", "--spot-notice-url"),
    ("--dashboard-host=", "--dashbord-host=", "--dashbord-host"),
    ("--port=6379", "--port=6380", "the head listens at port 6380"),
    ("--port=6379", "--port=redis", "redis"),
    ("--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", "open to the network"),
    ("--metrics-export-port=8090", "--metrics-export-port=8080", "--metrics-export-port is not the same"),
    ("--num-cpus=0", "--num-cpus=4", "keeps work off the head"),
    (". ~/pagemill/environment && ulimit", "ray stop; . ~/pagemill/environment && ulimit", "`ray stop`"),
    ("head_setup_commands: []", "head_start_commands: []", "head_start_commands"),
    ("head_setup_commands: []\n", "", "Ray runs its own: pip install 'boto3"),
    # Variables and paths.
    ("PAGEMILL_READING_CPUS=1", "PAGEMILL_READING_CPU=1", "PAGEMILL_READING_CPU is no setting"),
    ("PAGEMILL_READING_MEMORY=2\n", "PAGEMILL_READING_MEMORY=2GiB\n", "reading_memory"),
    (
        "RAY_health_check_period_ms",
        "RAY_health_check_period_s",
        "RAY_health_check_period_s is no variable of Ray's",
    ),
    ("RAY_ROTATION_MAX_BYTES=104857600", "RAY_ROTATION_MAX_BYTES=100MB", "100MB is no number"),
    ("RAY_AUTH_MODE=token", "RAY_AUTH_MODE=tokn", "RAY_AUTH_MODE is not `token`"),
    (
        "cat > ~/pagemill/environment",
        "cat > ~/pagemill/enviroment",
        "~/pagemill/enviroment is mentioned once",
    ),
    ("  ~/pagemill/dist: ./dist", "  ~/pagemill/dits: ./dist", "~/pagemill/dits is mounted"),
]


def test_the_file_is_good() -> None:
    assert faults_of(load(TEXT)) == []


@pytest.mark.parametrize(("right", "wrong", "fault"), TYPOS, ids=[wrong[:40] for _, wrong, _ in TYPOS])
def test_a_typo_is_found(right: str, wrong: str, fault: str) -> None:
    assert right in TEXT

    faults = faults_of(load(TEXT.replace(right, wrong, 1)))

    assert [one for one in faults if fault in one] != []


def test_a_key_that_stands_twice_is_found() -> None:
    with pytest.raises(ClusterFileError, match="the key max_workers stands twice"):
        load(TEXT.replace("max_workers: 32", "max_workers: 32\nmax_workers: 64"))


@pytest.mark.parametrize("text", ["max_workers: [", "- a list"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(ClusterFileError):
        load(text)


def test_a_pool_that_has_no_nodes_is_found() -> None:
    cluster = load(TEXT)
    del cluster["available_node_types"]["training"]
    del cluster["available_node_types"]["training-spot"]

    assert "no type of node is in the pool training" in faults_of(cluster)


def filled() -> str:
    return TEXT.replace("ami-00000000000000000", "ami-0123456789abcdef0").replace(
        "sg-00000000000000000", "sg-0123456789abcdef0"
    )


def test_what_is_to_be_filled_in_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = unfilled_in(load(TEXT), tmp_path)
    assert {"head: ImageId", "training-spot: SecurityGroupIds", "./dist", "./ray-token"} <= set(missing)

    path = tmp_path / "cluster.yaml"
    path.write_text(filled())
    assert main([str(path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: to fill in: {name}" for name in ("./dist", "./ray-token", "./pagemill.env")
    ]

    (tmp_path / "dist").mkdir()
    (tmp_path / "ray-token").touch()
    (tmp_path / "pagemill.env").touch()
    assert main([str(path)]) == 0
    assert capsys.readouterr() == (f"{path}: nothing is wrong\n", "")

    path.write_text("max_workers: [")
    assert main([str(path)]) == 1
    assert f"{path}: no YAML" in capsys.readouterr().err
