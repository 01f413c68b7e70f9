"""The output of `kubectl kustomize` passes the same checks as its parts."""

import shutil
import subprocess

import pytest
import yaml

from pvtt_flow import __version__
from tests.infra.checks import kubernetes_errors, rayjob_errors
from tests.infra.manifests import INFRA, ROOT, groups, ray_container, read


def test_the_files_that_kustomize_reads_exist() -> None:
    tree = read(INFRA / "kustomization.yaml")
    files = [*tree["resources"], *(f for made in tree["configMapGenerator"] for f in made["files"])]
    assert [f for f in files if not (INFRA / f).is_file()] == []


def test_the_rendered_manifests_are_accepted() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl, which is in no Python package; the parts are tested without")
    command = [kubectl, "kustomize", str(INFRA), "--load-restrictor", "LoadRestrictionsNone"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    manifests = {manifest["kind"]: manifest for manifest in yaml.safe_load_all(text)}
    assert set(manifests) == {"RayJob", "ConfigMap"}
    assert rayjob_errors(manifests["RayJob"]) == []
    assert kubernetes_errors(manifests["ConfigMap"]) == []
    images = {ray_container(group)["image"] for group in groups(manifests["RayJob"]).values()}
    assert images == {f"registry.example.com/pvtt-flow:{__version__}"}
    config = (ROOT / "configs" / "cluster.yaml").read_text()
    assert manifests["ConfigMap"]["data"] == {"cluster.yaml": config}
