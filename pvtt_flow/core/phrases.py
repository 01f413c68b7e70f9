"""Phrases by which an open-vocabulary detector looks for products.

Text encoders know things by their names: "product" alone is a poor one, so there are names of many
products, and names of what is near them.
"""

from typing import Annotated

from pydantic import StringConstraints

Phrase = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=100)
]

PRODUCTS: tuple[Phrase, ...] = (
    "product package", "cardboard box", "bottle", "can", "jar", "tube", "pouch", "bag", "handbag",
    "backpack", "shoe", "wristwatch", "bracelet", "necklace", "ring", "sunglasses", "mobile phone",
    "headphones", "camera", "small appliance", "toy", "lipstick", "cosmetics", "cup", "mug",
)  # fmt: skip
"""List that `detect.phrases: products` stands for."""
SURROUNDINGS: tuple[Phrase, ...] = (
    "person", "face", "hand", "arm", "table", "shelf", "wall", "floor", "plant", "text", "logo",
)  # fmt: skip
"""Things near products that are none: they take boxes that would else be called products."""
