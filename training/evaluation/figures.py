"""The paper's figures of the shared latent space, redrawn from a run: 1 right, 3, 4, 6, 7 and 8.

Each is a sheet of pictures. Depth is grey, what is read is coloured by fingers, and labels are thin and green.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from lsps_tf import draw, generate
from lsps_tf.networks import DOMAINS
from lsps_tf.pose_codes import CodeSpace
from training.evaluation.latent_pictures import overlay_of
from training.evaluation.latent_space import AS_IT_IS, CYCLED, P_REAL, RECONSTRUCTED, TRANSLATED, Chain, Reading

# Of a picture of depth or of a pose, and of one of depth with joints over it.
SIDE, OVERLAY_SIDE = 128, 176
_COLUMNS, _MANY_COLUMNS = 8, 12
_COLORS = 256
_OVERLAY_LINE = 1.5
_TRANSFORMED = 3


def transformations(chain: Chain) -> Image.Image:
    """Figure 1, right: hands of each domain as all three have them; the first picture of four is the hand itself."""
    networks, skeleton = chain.run.networks, chain.run.skeleton
    places = _spread(len(chain.hands["real"].image), _TRANSFORMED)
    pictures, titles = [], []
    for source in DOMAINS:
        image = chain.hands[source].image[places][..., None]
        made = generate.translations(networks, image, source)
        depth = {source: made[f"{source}_reconstructed"]}
        depth[generate.OTHER[source]] = made[f"{source}_to_{generate.OTHER[source]}"]
        joints = networks.decode_pose(generate.codes_of_images(networks, image, source)).numpy()
        for row in range(_TRANSFORMED):
            pictures += [draw.crop_picture(image[row, ..., 0], SIDE)]
            pictures += [draw.crop_picture(depth[domain][row], SIDE) for domain in DOMAINS]
            pictures += [draw.pose_picture(joints[row], skeleton, SIDE)]
            titles += [f"{source} depth", "to synthetic", "to real", "to pose"]
    joints = chain.hands["synthetic"].joints[places]
    hands = generate.hands_of_codes(networks, generate.codes_of_joints(networks, joints))
    for row in range(_TRANSFORMED):
        pictures += [draw.pose_picture(joints[row], skeleton, SIDE)]
        pictures += [draw.crop_picture(getattr(hands, domain)[row], SIDE) for domain in DOMAINS]
        pictures += [draw.pose_picture(hands.joints_norm[row], skeleton, SIDE)]
        titles += ["pose", "to synthetic", "to real", "to pose"]
    return draw.contact_sheet(pictures, titles, 4 * _TRANSFORMED)


def walk(chain: Chain, space: CodeSpace, seed: int) -> Image.Image:
    """Figure 3: a walk between two drawn codes, in all three domains."""
    start, end = space.sample(2, seed)
    codes = generate.walk(chain.run.networks, space.path(start, end), _MANY_COLUMNS)
    return _three_rows(chain, codes)


def samples(chain: Chain, space: CodeSpace, seed: int) -> Image.Image:
    """Figure 8: hands of drawn codes in all three domains; and frames of both, reconstructed, translated, and back."""
    drawn = _three_rows(chain, space.sample(_MANY_COLUMNS, seed))
    rows = {}
    for source in DOMAINS:
        places = _spread(len(chain.hands[source].image), _MANY_COLUMNS)
        other = generate.OTHER[source]
        rows[source] = chain.images(source, AS_IT_IS)[places]
        rows[f"{source}, reconstructed"] = chain.images(source, RECONSTRUCTED)[places]
        rows[f"{source} to {other}"] = chain.images(source, TRANSLATED)[places]
        rows[f"{source} to {other} and back"] = chain.images(source, CYCLED)[places]
    frames = draw.picture_grid(rows, SIDE)
    sheet = Image.new("RGB", (max(drawn.width, frames.width), drawn.height + frames.height), drawn.getpixel((0, 0)))
    sheet.paste(drawn, (0, 0))
    sheet.paste(frames, (0, drawn.height))
    return sheet


def predictions(chain: Chain, readers: dict[str, str], count: int = _COLUMNS) -> Image.Image:
    """Figure 4, or figure 6 with more of them: real frames, evenly spread, and what each reader makes of them."""
    return _read_rows(chain, readers, _spread(len(chain.hands["real"].image), count))


def failures(chain: Chain, readers: dict[str, str]) -> Image.Image:
    """Figure 7: the real frames in which the run's own P is farthest off, and what each reader makes of them."""
    worst = np.argsort(chain.errors_mm(Reading(P_REAL, "real")), kind="stable")[-_COLUMNS:]
    return _read_rows(chain, readers, worst[::-1])


def indexed(picture: Image.Image) -> Image.Image:
    """The picture in few colours, which makes its PNG small."""
    # An octree keeps the colours of thin lines, which a median cut takes for greys.
    return picture.quantize(_COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _read_rows(chain: Chain, readers: dict[str, str], places: Sequence[int]) -> Image.Image:
    """A row for each reader, by its title, with its errors; of one reader alone, as many rows as it takes."""
    pictures, titles = [], []
    for title, reader in readers.items():
        reading = Reading(reader, "real")
        joints, errors_mm, true = chain.joints(reading), chain.errors_mm(reading), chain.truth(reading)
        for place in places:
            image = chain.images("real", AS_IT_IS)[place]
            picture = overlay_of(chain, reading, place, image, joints[place], true[place], _OVERLAY_LINE)
            pictures.append(picture.resize((OVERLAY_SIDE, OVERLAY_SIDE), Image.Resampling.LANCZOS))
            titles.append(f"{title}: {errors_mm[place]:.0f} mm" if place == places[0] else f"{errors_mm[place]:.0f} mm")
    return draw.contact_sheet(pictures, titles, len(places) if len(readers) > 1 else _MANY_COLUMNS)


def _three_rows(chain: Chain, codes: np.ndarray) -> Image.Image:
    """Hands of codes [N, Z]: a row for each depth domain and one for the pose."""
    hands = generate.hands_of_codes(chain.run.networks, tf.constant(codes, tf.float32))
    shown: dict[str, Callable[[int], Image.Image]] = {
        "synthetic": lambda row: draw.crop_picture(hands.synthetic[row], SIDE),
        "real": lambda row: draw.crop_picture(hands.real[row], SIDE),
        "pose": lambda row: draw.pose_picture(hands.joints_norm[row], chain.run.skeleton, SIDE),
    }
    pictures = [picture(row) for picture in shown.values() for row in range(len(codes))]
    titles = [title for name in shown for title in (name, *[""] * (len(codes) - 1))]
    return draw.contact_sheet(pictures, titles, len(codes))


def _spread(total: int, count: int) -> np.ndarray:
    """Places evenly spread over all but the ends."""
    return ((np.arange(count) + 0.5) * total / count).astype(int)
