"""What several files say, and must say alike: versions, names, paths, the user."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.infra.manifests import Tree
from tests.infra.pods import groups, ray_container


@dataclass(frozen=True, kw_only=True)
class Project:
    """Everything that is compared."""

    rayjob: Tree
    kustomization: Tree
    pyproject: Tree
    dockerfile: str
    makefile: str
    version: str


def pin_reasons(project: Project) -> list[str]:
    """Where two files disagree."""
    rules = (_ray, _python, _install, _user, _image, _config)
    return [reason for rule in rules for reason in rule(project)]


def _ray(project: Project) -> Iterator[str]:
    requirements = project.pyproject["project"]["dependencies"]
    pinned = next(r.partition("==")[2] for r in requirements if r.startswith("ray["))
    version = project.rayjob["spec"]["rayClusterSpec"].get("rayVersion")
    if version != pinned:
        yield f"rayVersion is {version}, pyproject.toml pins ray {pinned}"


def _python(project: Project) -> Iterator[str]:
    """The suite runs on the oldest Python that the project takes, so the image has that one."""
    oldest = project.pyproject["project"]["requires-python"].removeprefix(">=")
    for image in re.findall(r"^FROM (python:\S*)", project.dockerfile, re.MULTILINE):
        if not image.startswith(f"python:{oldest}-"):
            yield f"the image is {image}, requires-python starts at {oldest}"


def _install(project: Project) -> Iterator[str]:
    """`make install` and the image get the same packages, in the same way."""
    wanted = _install_words(project.makefile) - {"--quiet", "--python"}
    for word in sorted(wanted - _install_words(project.dockerfile)):
        yield f"the Makefile installs with {word}, the Dockerfile does not"


def _install_words(text: str) -> set[str]:
    """The pin of uv, and the options and variables of the command that installs the lock."""
    lines = text.replace("\\\n", " ").splitlines()
    commands = [line for line in lines if "uv pip install" in line and "requirements.lock" in line]
    words = {word for line in commands for word in line.split() if re.match(r"--|\w+=", word)}
    return words | set(re.findall(r"uv==[\d.]+", text))


def _user(project: Project) -> Iterator[str]:
    user = re.findall(r"^USER (\S+)", project.dockerfile, re.MULTILINE)[-1]
    for name, group in groups(project.rayjob).items():
        pod = group["template"]["spec"].get("securityContext", {})
        want = f"{pod.get('runAsUser')}:{pod.get('runAsGroup')}"
        if user != want:
            yield f"{name} runs as {want}, the Dockerfile's user is {user}"


def _image(project: Project) -> Iterator[str]:
    tags = {image["name"]: image.get("newTag") for image in project.kustomization["images"]}
    for name, group in groups(project.rayjob).items():
        image = ray_container(group)["image"]
        if image not in tags:
            yield f"{name} runs the image {image}, which kustomization.yaml does not set"
        elif tags[image] != project.version:
            yield f"kustomization.yaml tags {image} {tags[image]}, the package is {project.version}"


def _config(project: Project) -> Iterator[str]:
    """The entrypoint is our command, with a config of the ConfigMap that is mounted there."""
    words = shlex.split(project.rayjob["spec"]["entrypoint"])
    if words[0] not in project.pyproject["project"]["scripts"] or words[1:2] != ["run"]:
        yield f"the entrypoint must be `pvtt-flow run CONFIG`, got {shlex.join(words)}"
        return
    path = PurePosixPath(words[2])
    head = groups(project.rayjob)["head"]
    mounts = {m["mountPath"]: m["name"] for m in ray_container(head).get("volumeMounts", [])}
    maps = {
        volume["name"]: volume["configMap"]["name"]
        for volume in head["template"]["spec"].get("volumes", [])
        if "configMap" in volume
    }
    generated = {
        made["name"]: {PurePosixPath(file).name for file in made["files"]}
        for made in project.kustomization["configMapGenerator"]
    }
    config_map = maps.get(mounts.get(str(path.parent), ""))
    if path.name not in generated.get(config_map or "", ()):
        yield f"the entrypoint reads {path}, which no generated ConfigMap is mounted to hold"
