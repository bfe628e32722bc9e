"""The simulator: a kinematic hand, its surface, a depth camera and its sensor noise, all in TensorFlow."""
