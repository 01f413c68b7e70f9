"""Published detectors, and the text encoders of those that find what phrases describe.

Hashes were compared with those of several independent public projects; those of yoloe-11m-seg and
yolov8x-worldv2 with two. Prompt-free YOLOE (`-seg-pf`) and sizes that are missing here have no hash
that two projects agree on: give their path and `detector.sha256`.
"""

from pvtt_flow.models.checkpoint import Checkpoint

_ULTRALYTICS = "https://github.com/ultralytics/assets/releases/download/v8.4.0"
_CLIP_SHA256 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
_DETECTOR_SHA256 = {
    "yolo26n": "9b09cc8bf347f0fc8a5f7657480587f25db09b34bf33b0652110fb03a8ad4fef",
    "yolo26s": "646f8bc3fe0a656803d95c294f7852321748cb29d13466a1af8862e2db384a1b",
    "yolo26m": "401cea9ab23ad19246ff7744859816bc599f350e93c9dd30367b6f0a0745d0b7",
    "yolo26l": "9fe3c544f2b19bebad7ea41e76d7ad3d88b7c2f10d11d24430c5311f6b32db26",
    "yolo26x": "9fdd44a31c504547ffb81d2c6d9e6dac3493c8eaa8b0398d3f43bae6c7003e92",
    "yolo11n": "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",
    "yolo11s": "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",
    "yolo11m": "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95",
    "yolo11l": "9ebd0e09d59811db4b1d61e2bc6730649608b1ac47f8dd01e2da6bca7c20023f",
    "yolo11x": "7bc158aa95c0ebfdd87f70f01653c1131b93e92522dbe15c228bcd742e773a24",
    "rtdetr-l": "6de60b10d4bc566f00cda0f5b4d64afe4b66d48dc9695d2171effb7859d8e73f",
    "yoloe-26n-seg": "1741c1f8da3cea47e2c01829c334a50dc0b9bbd05e685b90a3ce84fae32c8c1b",
    "yoloe-26s-seg": "48f24206bc8680d60cbbfa296b0140da849669b9515058b72f5a945142df0654",
    "yoloe-26m-seg": "585f5ec9028fd358035da8d860c27c56be285a795cba2076fba536a4391c2c83",
    "yoloe-26l-seg": "a612d2d505f24e14d87ec82d688b823b6cb600646664f16125ce6c84ce360da9",
    "yoloe-26x-seg": "d08d390a08f98195f7c87807839fe4ff93a5491645fef1bc3bf0700efafdd639",
    "yoloe-11s-seg": "8e439445c87338b79d9ce21dec109f4621e26df67e94d26ea1a98c1e64dce3e3",
    "yoloe-11m-seg": "785199b7cc75a5f4041dec15782a4b8a4105e5a34d7ffb287a0a10781724c5bd",
    "yoloe-11l-seg": "a993fb0fc7c8830939ae14e6434a925dd1179428158c2761482eb8a8d8a3699f",
    "yolov8s-worldv2": "9b2c17ab6124a913e9b3a5c170617920d91b0f01111a8479da69f00e2cf27792",
    "yolov8x-worldv2": "41e771bfbbb8894dd857f3fef7cac3b3578dffd49fd3547101efa6a606a02a0e",
}
_TEXT_ENCODERS = {
    "yoloe-26": "mobileclip2_b", "yoloe-11": "mobileclip_blt", "yolov8": "clip_vit_b_32",
}  # fmt: skip
_MOBILECLIP_SHA256 = {
    "mobileclip_blt": "a67804d1b0f07b8b9a20c1761ec0847f34660f5fa338ec70e8f3fce68ed95e54",
    "mobileclip2_b": "35d7f213e4d75f38514e4656ad3cb91158bd33e3805d8ac349f23b186f66982f",
}


def published_detectors() -> tuple[Checkpoint, ...]:
    """Return the detectors of other publishers, and their text encoders."""
    return (
        *(_detector(name) for name in _DETECTOR_SHA256),
        *(_mobileclip(name) for name in _MOBILECLIP_SHA256),
        Checkpoint(
            name="clip_vit_b_32",
            file_name="ViT-B-32.pt",
            sha256=_CLIP_SHA256,
            license="MIT",
            kind="text encoder",
            url=f"https://openaipublic.azureedge.net/clip/models/{_CLIP_SHA256}/ViT-B-32.pt",
        ),
    )


def _detector(name: str) -> Checkpoint:
    return Checkpoint(
        name=name,
        file_name=f"{name}.pt",
        sha256=_DETECTOR_SHA256[name],
        license="AGPL-3.0",
        kind="detector",
        text_encoder=_text_encoder(name),
        url=f"{_ULTRALYTICS}/{name}.pt",
    )


def _text_encoder(name: str) -> str | None:
    for family, encoder in _TEXT_ENCODERS.items():
        if name.startswith(family):
            return encoder
    return None


def _mobileclip(name: str) -> Checkpoint:
    return Checkpoint(
        name=name,
        file_name=f"{name}.ts",
        sha256=_MOBILECLIP_SHA256[name],
        # Apple Machine Learning Research Model License: for research only.
        license="apple-amlr",
        kind="text encoder",
        url=f"{_ULTRALYTICS}/{name}.ts",
    )
