"""The picture of a latent space: each link's best, median and worst hand, as it was and as it was made and read."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lsps_tf import camera, crop, draw
from lsps_tf.losses import SEEN
from training.evaluation.latent_space import AS_IT_IS, LINKS, POSE_VAE, PRIOR, Chain, Link, Reading, image_links

# Hands of the prior lie nowhere. They are shown as from here.
_PRIOR_CENTER_MM = (0.0, 0.0, 600.0)


def draw_chain(chain: Chain) -> Image.Image:
    """A row for each link that makes images: the hand as it was beside what was made of it, three times.

    The hands are those with the smallest, the median and the largest error, or L1 distance where the reader is missing.
    The bones of what was read are coloured, the true ones thin.
    """
    pictures, titles = [], []
    for link in LINKS:
        if not _shows(chain, link):
            continue
        for name, row, said in _chosen(chain, link):
            pictures += [_before(chain, link, row), _after(chain, link, row)]
            titles += [link.title, f"{name}: {said}"]
    return draw.contact_sheet(pictures, titles, 6)


def _shows(chain: Chain, link: Link) -> bool:
    """Whether there is something to see: an image that the link makes, or what P reads of a frame as it is."""
    is_read = chain.missing(link.reading) is None
    return link in image_links() or link.reading.way == PRIOR or (is_read and link.reading.reader != POSE_VAE)


def _chosen(chain: Chain, link: Link) -> list[tuple[str, int, str]]:
    """Best, median and worst: the place in the hands, and the figure in words."""
    if chain.missing(link.reading) is None:
        values, unit = chain.errors_mm(link.reading), "{:.1f} mm"
    elif link.reading.way == PRIOR:
        values, unit = np.zeros(len(chain.hands[link.reading.domain].image)), "not read"
    else:
        after, before = (chain.images(link.reading.domain, way) for way in (link.reading.way, AS_IT_IS))
        values, unit = np.abs(after - before).mean(axis=(1, 2)), "L1 {:.3f}"
    order = np.argsort(values, kind="stable")
    places = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    return [(name, int(row), unit.format(values[row])) for name, row in places.items()]


def _before(chain: Chain, link: Link, row: int) -> Image.Image:
    """The frame that the image is made of, with its labels; of the prior the pose alone."""
    true = chain.truth(link.reading)[row]
    if link.reading.way == PRIOR:
        return overlay_of(chain, link.reading, row, np.ones_like(chain.hands[link.reading.domain].image[row]), true)
    return overlay_of(chain, link.reading, row, chain.images(link.reading.domain, AS_IT_IS)[row], true)


def _after(chain: Chain, link: Link, row: int) -> Image.Image:
    image = chain.images(link.reading.domain, link.reading.way)[row]
    if chain.missing(link.reading) is not None:
        return draw.crop_picture(image, _before(chain, link, row).width)
    read = chain.joints(link.reading)[row]
    return overlay_of(chain, link.reading, row, image, read, chain.truth(link.reading)[row])


def overlay_of(
    chain: Chain,
    reading: Reading,
    row: int,
    image: np.ndarray,
    joints: np.ndarray,
    true: np.ndarray | None = None,
    line: float = 1.0,
) -> Image.Image:
    """An image [S, S] of a chain's hand, enlarged, with joints [J, 3] in half cubes, and thin the true ones."""
    hands = chain.hands[reading.domain]
    center_mm = np.float32(_PRIOR_CENTER_MM) if reading.way == PRIOR else hands.center_mm[row]
    cube_mm, size = hands.cube_mm[row], len(image)
    intrinsics = crop.crop_intrinsics(center_mm[None], cube_mm[None], size).numpy()
    # A generator's background is not quite 1.
    depth_mm = np.where(image < SEEN, image * 0.5 * cube_mm + center_mm[2], 0.0)

    def place(values: np.ndarray) -> np.ndarray:
        joints_mm = crop.denormalize_joints(values[None], center_mm[None], cube_mm[None]).numpy()[0]
        return camera.mm_to_uvd(joints_mm, intrinsics)[:, :2]

    labels_uv = None if true is None else place(true)
    return draw.overlay(depth_mm, place(joints), chain.run.skeleton, labels_uv, line)
