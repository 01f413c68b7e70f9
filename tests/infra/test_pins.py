"""The Dockerfile, the manifests, the lock and pyproject.toml agree on versions, names and paths."""

import re
import shlex
import tomllib
from pathlib import PurePosixPath

from pvtt_flow import __version__
from tests.infra.manifests import INFRA, ROOT, groups, ray_container, read

RAYJOB = read(INFRA / "rayjob.yaml")
KUSTOMIZATION = read(INFRA / "kustomization.yaml")
DOCKERFILE = (INFRA / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_ray_has_the_version_of_the_lock() -> None:
    locked = re.findall(r"^ray==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert [RAYJOB["spec"]["rayClusterSpec"]["rayVersion"]] == locked


def test_the_image_has_the_oldest_python_which_the_tests_run_on() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    images = re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE, re.MULTILINE)
    assert images == [oldest]


def test_the_image_installs_the_lock_as_make_does() -> None:
    makefile = _install_words((ROOT / "Makefile").read_text())
    assert "--require-hashes" in makefile
    assert makefile - {"--quiet", "--python"} <= _install_words(DOCKERFILE)


def _install_words(text: str) -> set[str]:
    """Return the pin of uv, and the options and variables of the command that installs the lock."""
    lines = text.replace("\\\n", " ").splitlines()
    commands = [line for line in lines if "uv pip install" in line and "requirements.lock" in line]
    words = {word for line in commands for word in line.split() if re.match(r"--|\w+=", word)}
    return words | set(re.findall(r"uv==[\d.]+", text))


def test_the_pods_run_the_tagged_image_as_its_user() -> None:
    tags = {image["name"]: image["newTag"] for image in KUSTOMIZATION["images"]}
    user = re.findall(r"^USER (\d+):(\d+)", DOCKERFILE, re.MULTILINE)[-1]
    for group in groups(RAYJOB).values():
        security = group["template"]["spec"]["securityContext"]
        assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user
        assert tags[ray_container(group)["image"]] == __version__


def test_the_workers_keep_what_is_compiled() -> None:
    (folder,) = re.findall(r"TORCHINDUCTOR_CACHE_DIR=(\S+)", DOCKERFILE)
    workers = [group for name, group in groups(RAYJOB).items() if name != "head"]
    assert workers
    for group in workers:
        mounts = {
            mount["mountPath"]: mount["name"] for mount in ray_container(group)["volumeMounts"]
        }
        volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        assert mounts[folder] in volumes


def test_the_entrypoint_runs_the_config_that_the_head_mounts() -> None:
    command, verb, config = shlex.split(RAYJOB["spec"]["entrypoint"])
    assert command in PROJECT["scripts"]
    assert verb == "run"
    path = PurePosixPath(config)
    head = groups(RAYJOB)["head"]
    mounts = {mount["mountPath"]: mount["name"] for mount in ray_container(head)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in head["template"]["spec"]["volumes"]}
    config_map = volumes[mounts[str(path.parent)]]["configMap"]["name"]
    files = {made["name"]: made["files"] for made in KUSTOMIZATION["configMapGenerator"]}
    assert path.name in {PurePosixPath(file).name for file in files[config_map]}
