"""What is known in closed form: the truths that estimators, models and training are checked against.

Finite tables (:mod:`~ratelab.exact.tables`), Gaussians (:mod:`~ratelab.exact.gaussians`), the linear-Gaussian VAE
(:mod:`~ratelab.exact.linear_gaussian`) and hierarchy (:mod:`~ratelab.exact.hierarchy`), and the rate-distortion and capacity
of finite sources and channels (:mod:`~ratelab.exact.blahut_arimoto`). Everything is float64, in nats.
"""
