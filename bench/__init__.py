"""The benchmark: fixed work, one question per module of `bench.questions`, JSON out.

Law: loopback only, bounded in time, every process that is started here is ended here by its pid.
"""
