"""The report's pictures: textures, light, and how a picture becomes part of the page."""

from __future__ import annotations

import base64
import math
from html import escape

import cv2
import numpy as np
from torch import Tensor

from backend.export.asset import Asset, texture_images
from backend.export.charts import short
from backend.export.images import encode_jpeg, encode_png

LONG_SIDE = 512  # of the pictures shown, in pixels


def maps_section(asset: Asset) -> str:
    """The textures."""
    images = texture_images(asset.maps)
    captions = {
        "base_color": "Base color",
        "roughness": "Roughness",
        "metallic": "Metallic",
        "normal": "Normal, tangent space, +Y",
    }
    if asset.maps.opacity is not None:
        images |= {"base_color": images["base_color"][..., :3], "opacity": images["base_color"][..., 3:]}
        captions["opacity"] = "Opacity: the base color's alpha"
    height, width = asset.maps.base_color.shape[:2]
    figures = "".join(
        f"<figure>{image(images[name], caption)}<figcaption>{caption}</figcaption></figure>"
        for name, caption in captions.items()
    )
    return f'<h2>Textures</h2><p class="quiet">{width} × {height} texels.</p><div class="maps">{figures}</div>'


def light_section(asset: Asset) -> str:
    """The light as an equirectangular picture, exposed so that its mean is seen."""
    light = asset.environment.detach().cpu().float().numpy()
    grey = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    exposure = round(math.log2(0.4 / max(float(grey.mean()), 1e-6)), 1)
    shown = np.clip(light * 2.0**exposure, 0, 1)
    shown = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * np.maximum(shown, 0.0031308) ** (1 / 2.4) - 0.055)
    caption = f"Mean {short(float(grey.mean()))}, brightest {short(float(grey.max()))}; shown {exposure:+.1f} stops."
    return (
        f'<h2>Light</h2><p class="quiet">Equirectangular; the center looks along +X, the top is +Z. {caption}</p>'
        f'<div class="light">{image(shown, "environment light", LONG_SIDE * 2)}</div>'
    )


def image(picture: Tensor | np.ndarray, text: str, long_side: int = LONG_SIDE, png: bool = False) -> str:
    """A picture [H, W, C] in [0, 1] as an element that needs no file, shrunk to `long_side`; `text` says what it shows."""
    values = picture.detach().cpu().float().numpy() if isinstance(picture, Tensor) else np.asarray(picture, np.float32)
    scale = long_side / max(values.shape[:2])
    if scale < 1:
        size = (max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale)))
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    data = encode_png(values) if png else encode_jpeg(values)
    kind = "png" if png else "jpeg"
    encoded = base64.b64encode(data).decode()
    return f'<img alt="{escape(text)}" width="{values.shape[1]}" height="{values.shape[0]}" src="data:image/{kind};base64,{encoded}">'
