import pytest

from lsps_tf import skeleton
from lsps_tf.errors import InputError


@pytest.mark.parametrize("name", sorted(skeleton.SKELETONS))
def test_bones_form_a_tree_over_all_joints(name):
    body = skeleton.SKELETONS[name]
    children = [child for _, child in body.bones]
    assert len(set(children)) == len(children) == body.num_joints - 1
    parent = {child: first for first, child in body.bones}
    (root,) = set(range(body.num_joints)) - set(children)
    for joint in range(body.num_joints):
        for _ in range(body.num_joints):
            joint = parent.get(joint, joint)
        assert joint == root
    assert body.joint_names[root] == {"nyu": "wrist", "icvl": "palm"}[name]


def test_the_21_joints_are_a_tree_in_the_order_of_mediapipe():
    hand = skeleton.HAND21
    fingers = {"thumb": ("cmc", "mcp", "ip", "tip")}
    for finger in ("index", "middle", "ring", "pinky"):
        fingers[finger] = ("mcp", "pip", "dip", "tip")
    names = [f"{finger}_{joint}" for finger, joints in fingers.items() for joint in joints]
    assert hand.joint_names == ("wrist", *names)
    # MediaPipe's HAND_CONNECTIONS along the fingers: 0-1-2-3-4, 0-5-6-7-8, ...
    expected = {(0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21)}
    assert set(hand.bones) == expected and len(hand.bones) == 20
    # NYU names the same places alike.
    assert [skeleton.NYU.joint_names[joint] for joint in skeleton.HAND21_FROM_NYU] == list(hand.joint_names)
    assert skeleton.joints_of(skeleton.NYU, hand) == skeleton.HAND21_FROM_NYU
    assert skeleton.joints_of(hand, hand) == tuple(range(21))


def test_names_are_unique_and_the_orders_are_the_benchmarks():
    for body in skeleton.SKELETONS.values():
        assert len(set(body.joint_names)) == len(body.finger_of) == body.num_joints
    assert (skeleton.NYU.num_joints, skeleton.ICVL.num_joints) == (36, 16)
    assert skeleton.NYU.evaluated == (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32)


def test_icvl_joints_come_from_the_same_fingers_of_nyu():
    for joint, source in enumerate(skeleton.ICVL_FROM_NYU):
        assert skeleton.ICVL.finger_of[joint] == skeleton.NYU.finger_of[source]
        assert skeleton.ICVL.joint_names[joint].endswith("tip") == skeleton.NYU.joint_names[source].endswith("tip")


def test_joints_are_found_among_those_of_another_skeleton():
    assert skeleton.joints_of(skeleton.NYU, skeleton.ICVL) == skeleton.ICVL_FROM_NYU
    assert skeleton.joints_of(skeleton.ICVL, skeleton.ICVL) == tuple(range(16))
    with pytest.raises(InputError, match="the 36 joints of nyu cannot be had from a model of icvl's 16"):
        skeleton.joints_of(skeleton.ICVL, skeleton.NYU)
