"""Which dev items find issues and which measure them: fixed for a project, whatever a run sets."""

from __future__ import annotations

from residency.diagnose.dev_halves import split_halves
from residency.project.step_needs import HasRows


def split_dev(ws: HasRows) -> tuple[set[str], set[str]]:
    """Ids of the dev items that find issues, and of those that measure them.

    They belong to the project and not to a run: the seed is that of its first run, and what
    found issues in an earlier run (with a larger ``diagnose.finding_share``) never measures.
    Otherwise a new seed would let items that chose an issue measure its fall.
    """
    earlier = [ws.store.run(run).get("settings", {}) for run in ws.store.runs()]
    project_seed, share = ws.config.project.seed, ws.config.diagnose.finding_share
    seed = earlier[0].get("project", {}).get("seed", project_seed) if earlier else project_seed
    dev = ws.split("dev")
    finding, measuring = split_halves(dev, seed, share=share)
    for settings in earlier:
        before = settings.get("diagnose", {}).get("finding_share", share)
        if before > share:
            measuring &= split_halves(dev, seed, share=before)[1]
    return finding, measuring
