"""The Dockerfile, the manifests and pyproject.toml agree."""

import tomllib
from dataclasses import replace

import pytest

from pvtt_flow import __version__
from tests.infra.manifests import INFRA, ROOT, Key, changed, kustomization, rayjob
from tests.infra.pins import Project, pin_reasons

HEAD = ("spec", "rayClusterSpec", "headGroupSpec", "template", "spec")


@pytest.fixture
def project() -> Project:
    return Project(
        rayjob=rayjob(),
        kustomization=kustomization(),
        pyproject=tomllib.loads((ROOT / "pyproject.toml").read_text()),
        dockerfile=(INFRA / "Dockerfile").read_text(),
        makefile=(ROOT / "Makefile").read_text(),
        version=__version__,
    )


def test_the_files_agree(project: Project) -> None:
    assert pin_reasons(project) == []


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (("spec", "rayClusterSpec", "rayVersion"), "2.59.0", "rayVersion is 2.59.0, pyproject"),
        (("spec", "entrypoint"), "pvtt-flow run /config/big.yaml", "reads /config/big.yaml"),
        (("spec", "entrypoint"), "pvtt run /config/cluster.yaml", "must be `pvtt-flow run CONFIG`"),
        ((*HEAD, "containers", 0, "volumeMounts", 0, "mountPath"), "/etc", "/config/cluster.yaml"),
        ((*HEAD, "volumes", 0, "configMap", "name"), "pvtt-config", "/config/cluster.yaml"),
        ((*HEAD, "containers", 0, "image"), "pvtt", "the image pvtt, which kustomization.yaml"),
        ((*HEAD, "securityContext", "runAsUser"), 1001, "head runs as 1001:1000, the Dockerfile"),
    ],
)
def test_a_rayjob_that_differs(project: Project, key: Key, value: object, reason: str) -> None:
    broken = replace(project, rayjob=changed(project.rayjob, key, value))
    assert any(reason in found for found in pin_reasons(broken))


def test_an_image_that_differs(project: Project) -> None:
    dockerfile = project.dockerfile.replace("python:3.11-", "python:3.13-")
    (found,) = pin_reasons(replace(project, dockerfile=dockerfile))
    assert found == "the image is python:3.13-slim-bookworm, requires-python starts at 3.11"


def test_an_install_that_differs(project: Project) -> None:
    dockerfile = project.dockerfile.replace("--require-hashes", "").replace("uv==", "uv==0.")
    first, second = pin_reasons(replace(project, dockerfile=dockerfile))
    assert first == "the Makefile installs with --require-hashes, the Dockerfile does not"
    assert second.startswith("the Makefile installs with uv==")


def test_a_tag_that_differs(project: Project) -> None:
    found = pin_reasons(replace(project, version="9.9.9"))
    assert f"kustomization.yaml tags pvtt-flow {__version__}, the package is 9.9.9" in found
