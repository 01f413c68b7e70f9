"""Published trackers: their names, files, hashes, licenses and publishers.

A file is verified against its SHA-256 here before it is loaded. Hashes were compared with those of
several independent public projects; those of the two EfficientTAMs at 512 px with one.
"""

from pvtt_flow.models.checkpoint import Checkpoint

_META = "https://dl.fbaipublicfiles.com/segment_anything_2"
_EFFICIENTTAM = "https://huggingface.co/yunyangx/efficient-track-anything/resolve/main"
_EDGETAM = (
    "https://github.com/facebookresearch/EdgeTAM/raw/7711e012a30a2402c4eaab637bdb00a521302c91"
)

# Publication dates, which are part of the addresses.
_DATES = {"sam2": "072824", "sam2.1": "092824"}
_LETTERS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
_SAM2_SHA256 = {
    ("sam2", "tiny"): "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
    ("sam2", "small"): "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
    ("sam2", "base_plus"): "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
    ("sam2", "large"): "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
    ("sam2.1", "tiny"): "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ("sam2.1", "small"): "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ("sam2.1", "base_plus"): "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ("sam2.1", "large"): "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
}
_SAM3_SHA256 = "9999e2341ceef5e136daa386eecb55cb414446a00ac2b55eb2dfd2f7c3cf8c9e"
_EFFICIENTTAM_SHA256 = {
    "ti": "acbb17b28cca1f860acee09c9ecb6efdb732080dc7a85a07292c31813175fa7d",
    "ti_512x512": "7d4d652a465f0081391050932f45d8a66768ccc99c8ea393ce8a5927e83f3b9b",
    "s": "2b572be30d9e96ee29c8d785fe157c6b079ede7d56fbc8a3671d4120e63c89cd",
    "s_512x512": "67b5840012737ed2c94a4cb8787c5c1b27b3a946045d2e602e65ef77230b6085",
}


def published_trackers() -> tuple[Checkpoint, ...]:
    """Return the trackers of other publishers."""
    return (
        *(_sam2(version, size) for version, size in _SAM2_SHA256),
        *(_efficienttam(variant) for variant in _EFFICIENTTAM_SHA256),
        Checkpoint(
            name="edgetam",
            file_name="edgetam.pt",
            sha256="ed2d4850b8792c239689b043c47046ec239b6e808a3d9b6ae676c803fd8780df",
            license="Apache-2.0",
            kind="tracker",
            config="edgetam.yaml",
            url=f"{_EDGETAM}/checkpoints/edgetam.pt",
        ),
        _sam3_tracker(),
    )


def _sam2(version: str, size: str) -> Checkpoint:
    file_name = f"{version}_hiera_{size}.pt"
    return Checkpoint(
        name=f"{version}_hiera_{size}",
        file_name=file_name,
        sha256=_SAM2_SHA256[version, size],
        license="Apache-2.0",
        kind="tracker",
        config=f"configs/{version}/{version}_hiera_{_LETTERS[size]}.yaml",
        url=f"{_META}/{_DATES[version]}/{file_name}",
    )


def _efficienttam(variant: str) -> Checkpoint:
    name = f"efficienttam_{variant}"
    return Checkpoint(
        name=name,
        file_name=f"{name}.pt",
        sha256=_EFFICIENTTAM_SHA256[variant],
        license="Apache-2.0",
        kind="tracker",
        config=f"{name}.yaml",
        url=f"{_EFFICIENTTAM}/{name}.pt",
    )


def _sam3_tracker() -> Checkpoint:
    return Checkpoint(
        name="sam3_tracker",
        file_name="sam3.pt",
        sha256=_SAM3_SHA256,
        license="SAM License",
        kind="tracker",
        config="sam3_tracker.yaml",
        url="https://huggingface.co/facebook/sam3",
        gated=True,
    )
