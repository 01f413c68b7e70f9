"""What `kubectl kustomize` makes of infra/ passes the same checks as its parts."""

import shutil
import subprocess

import pytest
import yaml

from pvtt_flow import __version__
from tests.infra.controller import controller_reasons
from tests.infra.kuberay import field_reasons
from tests.infra.manifests import INFRA, ROOT, Tree, kustomization
from tests.infra.pods import groups, pod_reasons, ray_container, schema_reasons


def test_the_files_that_kustomize_reads_exist() -> None:
    tree = kustomization()
    files = [*tree["resources"], *(f for made in tree["configMapGenerator"] for f in made["files"])]
    assert [f for f in files if not (INFRA / f).is_file()] == []


@pytest.fixture(scope="module")
def rendered() -> dict[str, Tree]:
    """Manifests by kind."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl, which is in no Python package; the parts are tested without")
    command = [kubectl, "kustomize", str(INFRA), "--load-restrictor", "LoadRestrictionsNone"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(text)}


def test_the_manifests_are_accepted(rendered: dict[str, Tree]) -> None:
    assert set(rendered) == {"RayJob", "ConfigMap"}
    rayjob = rendered["RayJob"]
    assert [*field_reasons(rayjob), *controller_reasons(rayjob), *pod_reasons(rayjob)] == []
    assert schema_reasons(rendered["ConfigMap"]) == []


def test_the_images_are_set(rendered: dict[str, Tree]) -> None:
    images = {ray_container(group)["image"] for group in groups(rendered["RayJob"]).values()}
    assert images == {f"registry.example.com/pvtt-flow:{__version__}"}


def test_the_config_map_holds_the_config(rendered: dict[str, Tree]) -> None:
    config = (ROOT / "configs" / "cluster.yaml").read_text()
    assert rendered["ConfigMap"]["data"] == {"cluster.yaml": config}
