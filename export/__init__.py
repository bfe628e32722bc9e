"""Export and prediction."""

import lsps_tf  # noqa: F401  It chooses Keras 2 before any module here imports TensorFlow.
