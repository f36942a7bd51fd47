"""What holds for every test: hypothesis takes no examples for wrong because they are slow."""

import hypothesis

# A busy machine needs long for one example, and for making it up.
hypothesis.settings.register_profile(
    "dsbridge", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("dsbridge")
