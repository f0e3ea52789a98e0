"""Settings for all tests."""

import hypothesis

# The first example may wait for an import or a busy core; pytest's own timeout ends what hangs.
hypothesis.settings.register_profile("raylt", deadline=None)
hypothesis.settings.load_profile("raylt")
