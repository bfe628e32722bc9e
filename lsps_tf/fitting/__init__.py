from lsps_tf.stack import check_keras

check_keras()
