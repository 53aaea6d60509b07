"""The KubeRay manifest: pods that Kubernetes takes, a command that `curate` takes, groups that hold a worker.

KubeRay's own fields were compared by hand with its Go types and API reference, not with the current CRD; here
is what the run depends on.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import typer
import yaml
from running import ROOT

from curate.cli import app
from curate.config import parse_size
from curate.executors.pools import NodeShape, Shape, count_fitting
from curate.plan import load_plan

JOB: dict[str, Any] = yaml.safe_load((ROOT / "deploy/kuberay-rayjob.yaml").read_text())
CLUSTER = JOB["spec"]["rayClusterSpec"]
GROUPS = {group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]}
TEMPLATES = {"head": CLUSTER["headGroupSpec"]["template"]} | {
    name: group["template"] for name, group in GROUPS.items()
}
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()


def run_arguments() -> dict[str, Any]:
    """Return what `curate run` makes of the entrypoint; fails on an option that it does not know."""
    program, command, *words = shlex.split(JOB["spec"]["entrypoint"])
    assert (program, command) == ("curate", "run")
    group = typer.main.get_command(app)
    run = group.get_command(typer.Context(group), command)  # type: ignore[attr-defined]
    return dict(run.make_context(command, words).params)


def shape(name: str) -> NodeShape:
    """Return what Ray sees of a pod of a group."""
    limits = TEMPLATES[name]["spec"]["containers"][0]["resources"]["limits"]
    return NodeShape(
        float(limits["cpu"]), float(limits.get("nvidia.com/gpu", 0)), float(str(parse_size(limits["memory"])))
    )


def mounts() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield each template's name, container and the volume that CURATE_SCRATCH lies on."""
    for name, template in TEMPLATES.items():
        container = template["spec"]["containers"][0]
        path = next(e["value"] for e in container["env"] if e["name"] == "CURATE_SCRATCH")
        mount = next(m for m in container["volumeMounts"] if m["mountPath"] == path)
        yield name, container, next(v for v in template["spec"]["volumes"] if v["name"] == mount["name"])


@pytest.mark.parametrize("name", TEMPLATES)
def test_kubernetes_takes_the_pods(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, **TEMPLATES[name]}
    validate.validate(pod, validate.latest_version(), strict=True)
    pod["spec"]["containers"][0]["evnFrom"] = []
    try:
        with pytest.raises(validate.ValidationError):
            validate.validate(pod, validate.latest_version(), strict=True)
    finally:
        del pod["spec"]["containers"][0]["evnFrom"]


def test_the_entrypoint_is_a_command_of_ours() -> None:
    given = run_arguments()
    assert all(uri.startswith("s3://") for uri in [*given["inputs"], given["output"]])
    assert given["wait_for_nodes"] >= 600, "the groups start small, and a machine takes minutes to come"
    load_plan(given["pipeline"], None, given["settings"] or ())


def test_each_group_holds_workers_of_the_passes_that_it_is_for() -> None:
    given = run_arguments()
    plan = load_plan(given["pipeline"], None, given["settings"] or ())
    for pass_ in plan.passes:
        group = "gpu" if pass_.resources.gpus else "cpu"
        room = count_fitting(Shape.of(pass_.resources, None), [shape(group)])
        assert room >= 1, pass_.name
        assert shape(group).memory >= room * 2**30, "a worker and its decoder take up to 700 MB"
    assert shape("gpu").gpus >= 1
    assert shape("cpu").gpus == 0


def test_the_passes_may_use_the_largest_cluster_that_the_groups_allow() -> None:
    """Without a bound a pass asks for what fits now, and a cluster that waits to be asked never grows."""
    given = run_arguments()
    plan = load_plan(given["pipeline"], None, given["settings"] or ())
    for pass_ in plan.passes:
        group = "gpu" if pass_.resources.gpus else "cpu"
        wanted = Shape.of(pass_.resources, given["workers"])
        each = count_fitting(wanted, [shape(group)])
        assert wanted.workers is not None
        assert wanted.workers == each * GROUPS[group]["maxReplicas"], pass_.name


def test_the_cluster_grows_and_ends() -> None:
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    assert JOB["spec"]["shutdownAfterJobFinishes"] is True
    assert CLUSTER["enableInTreeAutoscaling"] is True
    assert CLUSTER["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for name, group in GROUPS.items():
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"], name
    assert GROUPS["gpu"]["minReplicas"] == 0
    for params in (CLUSTER["headGroupSpec"], *GROUPS.values()):
        assert all(isinstance(value, str) for value in params["rayStartParams"].values())


def test_scratch_holds_what_its_workers_may_spool() -> None:
    given = run_arguments()
    plan = load_plan(given["pipeline"], None, given["settings"] or ())
    spool = max(pass_.resources.spool_bytes for pass_ in plan.passes)
    for name, container, volume in mounts():
        size = parse_size(volume["emptyDir"]["sizeLimit"])
        assert isinstance(size, int)
        if name != "head":
            assert size >= spool * shape(name).cpus, name
            assert parse_size(container["resources"]["limits"]["ephemeral-storage"]) > size, name


def test_every_pod_has_the_same_image_and_the_storage_credentials() -> None:
    containers = [container for _, container, _ in mounts()]
    assert {container["envFrom"][0]["secretRef"]["name"] for container in containers} == {"curate-storage"}
    (image,) = {container["image"] for container in containers}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert image.endswith(f"/cogcurate:{project['version']}")
    assert image in DOCKERFILE
    assert CLUSTER["rayVersion"] == version("ray"), "the version that requirements/dev.txt pins"


def test_the_image_holds_what_the_pods_rely_on() -> None:
    users = {template["spec"]["securityContext"]["runAsUser"] for template in TEMPLATES.values()}
    assert users == {int(str(re.search(r"useradd --uid (\d+)", DOCKERFILE)[1]))}  # type: ignore[index]
    extras = re.search(r"ARG EXTRAS=(\S+)", DOCKERFILE)
    assert extras
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "ray" in extras[1].split(",")
    assert set(extras[1].split(",")) <= set(known)
    assert "wget" in DOCKERFILE, "KubeRay's probes run it"
