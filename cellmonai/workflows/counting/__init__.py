"""The steps of `count`: inputs, survey, plan, every plane, results."""
