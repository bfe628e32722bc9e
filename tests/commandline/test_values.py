import pytest

from lsps_tf.camera import CAMERAS, NYU, Camera
from lsps_tf.commandline.parser import Parser
from lsps_tf.commandline.values import parse_camera, parse_center, parse_numbers
from lsps_tf.errors import InputError


@pytest.mark.parametrize("name", CAMERAS)
def test_a_named_camera_is_the_one_of_its_size(name):
    view = CAMERAS[name]
    assert parse_camera(name, "a.png", view.height, view.width) == view
    assert parse_camera(f" {name.upper()} ", "a.png", view.height, view.width) == view
    with pytest.raises(InputError, match=r"a\.png: the frame is 100x90 pixels but --camera"):
        parse_camera(name, "a.png", 90, 100)


def test_numbers_are_a_camera_of_the_frame_s_size():
    assert parse_camera("500,510.5,300,-20", "a.png", 400, 600) == Camera(500.0, 510.5, 300.0, -20.0, 600, 400)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kinect", "there is no 'kinect'; give nyu, icvl, sr305 or fx,fy,cx,cy"),
        ("", "there is no ''"),
        ("500,500,320", "has 3 numbers, fx,fy,cx,cy are 4"),
        ("500,500,320,240,0", "has 5 numbers"),
        ("500,500,320,", "is not fx,fy,cx,cy"),
        ("f,f,c,c", "is not fx,fy,cx,cy"),
        ("nan,500,320,240", "not finite"),
        ("500,inf,320,240", "not finite"),
        ("0,500,320,240", "the focal lengths fx = 0 and fy = 500 must be more than 0"),
        ("500,-500,320,240", "must be more than 0"),
        ("500,500,3200,240", "the principal point cx = 3200, cy = 240 is far outside a frame of 640x480"),
        ("500,500,320,-481", "far outside"),
        ("0.92,1.22,0.5,0.5", "parts of the frame's size; give pixels, which would be 588.8,585.6,320,240 for 640x480"),
    ],
)
def test_a_camera_without_meaning_is_named(text, message):
    with pytest.raises(InputError) as caught:
        parse_camera(text, "a.png", 480, 640)
    assert message in str(caught.value) and str(caught.value).startswith("--camera")


def test_a_frame_too_small_for_a_hand_is_named():
    with pytest.raises(InputError, match=r"a\.png: a frame of 31x480 pixels; each side needs at least 32"):
        parse_camera("500,500,15,240", "a.png", 480, 31)


def test_a_center_is_three_numbers_in_front_of_the_camera_and_in_view():
    assert parse_center("-20,10,600", NYU, 250.0) == (-20.0, 10.0, 600.0)
    for text, message in [
        ("1,2", "has 2 numbers"),
        ("a,b,c", "is not x,y,z"),
        ("0,0,0", "z = 0 mm is not in front"),
        ("0,0,-600", "is not in front"),
        ("0,0,nan", "not finite"),
        ("2000,0,600", "outside the frame of 640x480"),
    ]:
        with pytest.raises(InputError) as caught:
            parse_center(text, NYU, 250.0)
        assert message in str(caught.value) and str(caught.value).startswith("--center")


def test_the_parser_says_its_errors_in_one_line_and_takes_negative_numbers():
    parser = Parser("a.py", "A command.")
    parser.add_argument("--center")
    parser.add_argument("frame")
    assert parser.parse_args(["--center", "-20,10,600", "f.png"]).center == "-20,10,600"
    for arguments in (["--cen", "1,2,3", "f.png"], [], ["f.png", "--nothing"], ["f.png", "--center"]):
        with pytest.raises(InputError, match=r"see a\.py --help|unknown setting") as caught:
            parser.parse_args(arguments)
        assert "\n" not in str(caught.value)


def test_numbers_are_read_with_spaces():
    assert parse_numbers("--x", " 1 , 2.5 ", "a,b") == (1.0, 2.5)
