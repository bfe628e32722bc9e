"""3D hand pose from one depth image, learned from simulation and partial supervision (LSPS)."""

from lsps_tf.stack import prefer_keras_2

prefer_keras_2()
