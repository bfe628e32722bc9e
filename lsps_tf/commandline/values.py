"""Values of command lines that are several numbers in a row: a camera, a centre."""

from __future__ import annotations

import math
import pathlib

from lsps_tf.camera import CAMERAS, Camera
from lsps_tf.errors import InputError

SMALLEST_FRAME_PX = 32
# Focal lengths below this are not in pixels: the smallest frame would show 145 degrees.
_NORMALISED = 5.0


def parse_numbers(option: str, text: str, names: str) -> tuple[float, ...]:
    """Reads as many finite numbers as `names` ("x,y,z") has; InputError, naming `option`, otherwise."""
    count = names.count(",") + 1
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option}: '{text}' is not {names}; give {count} numbers with commas between them") from None
    if len(numbers) != count:
        raise InputError(f"{option}: '{text}' has {len(numbers)} numbers, {names} are {count}")
    if not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{option}: '{text}' holds a number that is not finite; give {names}")
    return numbers


def parse_camera(text: str, frame: str | pathlib.Path, height: int, width: int) -> Camera:
    """The camera that made a frame.

    Args:
        text: a name of `lsps_tf.camera.CAMERAS`, or "fx,fy,cx,cy" in pixels.
        frame: the frame's file, for messages.
        height: of the frame, pixels.
        width: of the frame, pixels.

    Raises:
        InputError: where the text is neither, the frame has not the named camera's size, a focal length is not
            positive, or the principal point lies farther outside the frame than the frame is large.
    """
    if min(height, width) < SMALLEST_FRAME_PX:
        raise InputError(f"{frame}: a frame of {width}x{height} pixels; each side needs at least {SMALLEST_FRAME_PX}")
    named = CAMERAS.get(text.strip().lower())
    if named is None:
        return _camera_of_numbers(text, height, width)
    if (height, width) != (named.height, named.width):
        raise InputError(
            f"{frame}: the frame is {width}x{height} pixels but --camera {text} makes {named.width}x{named.height}; "
            "give the camera that made it, or its fx,fy,cx,cy"
        )
    return named


def _camera_of_numbers(text: str, height: int, width: int) -> Camera:
    if "," not in text:
        raise InputError(
            f"--camera: there is no '{text}'; give {', '.join(CAMERAS)} or fx,fy,cx,cy in pixels, or a file"
        )
    fx, fy, cx, cy = parse_numbers("--camera", text, "fx,fy,cx,cy")
    if 0 < fx < _NORMALISED and 0 < fy < _NORMALISED and 0 <= cx <= 1 and 0 <= cy <= 1:
        pixels = ",".join(f"{number:g}" for number in (fx * width, fy * height, cx * width, cy * height))
        raise InputError(
            f"--camera: {text} looks like parts of the frame's size; give pixels, which would be {pixels} for "
            f"{width}x{height}"
        )
    if fx <= 0 or fy <= 0:
        raise InputError(f"--camera: the focal lengths fx = {fx:g} and fy = {fy:g} must be more than 0 pixels")
    if not (-width <= cx <= 2 * width and -height <= cy <= 2 * height):
        raise InputError(
            f"--camera: the principal point cx = {cx:g}, cy = {cy:g} is far outside a frame of {width}x{height} "
            "pixels; it is near the middle"
        )
    return Camera(fx, fy, cx, cy, width, height)


def parse_center(text: str, camera: Camera, cube_mm: float) -> tuple[float, float, float]:
    """A hand's centre "x,y,z" in camera space, mm.

    Raises:
        InputError: where these are no three numbers, z is not positive, or the cube of side `cube_mm` around the
            centre is outside the frame.
    """
    x, y, z = parse_numbers("--center", text, "x,y,z")
    if z <= 0:
        raise InputError(f"--center: z = {z:g} mm is not in front of the camera; z points away from it")
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    reach_u, reach_v = 0.5 * cube_mm * camera.fx / z, 0.5 * cube_mm * camera.fy / z
    if not (-reach_u <= u <= camera.width + reach_u and -reach_v <= v <= camera.height + reach_v):
        raise InputError(
            f"--center: {text} mm is pixel ({u:.0f}, {v:.0f}), outside the frame of {camera.width}x{camera.height}; "
            "x points right, y down, z away from the camera, all in mm"
        )
    return x, y, z
