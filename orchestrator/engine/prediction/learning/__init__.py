"""Predictors that learn from the rounds that the run itself takes.

samples    every round is offered to a reservoir, which keeps a bounded, uniform part of them
forest     t_p and t_batch: random forests, trained by scikit-learn, evaluated here
linear     t_d and t_comm: least squares
learned    the four of them as a `Predictor`, and when it is trained anew
accuracy   how well they do, for the report
"""
