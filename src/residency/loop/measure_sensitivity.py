"""What the run's score can and cannot see, measured before anything is trained."""

from __future__ import annotations

from residency.diagnose.run_detectors import run_detectors
from residency.evaluate.suites.sensitivity import make_probes, measure_probes, probe_responses
from residency.evaluate.suites.sensitivity_table import ProbeName, Sensitivity
from residency.evaluate.suites.suite import Suite
from residency.loop.assess import find_known_words
from residency.loop.stages import run_stage_once
from residency.nouns.finding import Finding
from residency.project.step_needs import HasMeasures
from residency.store.stage_key import StageKey, StageName
from residency.text.label_values import find_label_values


def record_sensitivity(ws: HasMeasures) -> None:
    """Keep the table of this run's suite with the run; nothing where dev has no references."""

    def make() -> dict[str, object]:
        table = measure_sensitivity(ws)
        return table.to_dict() if table else {}

    run_stage_once(ws, StageKey(StageName.SENSITIVITY), make)


def measure_sensitivity(ws: HasMeasures, suite: Suite | None = None) -> Sensitivity | None:
    """What the project's suite, or another one, makes of right and wrong answers to dev items.

    Where answers without any fault are counted, detectors look at the probes as well.
    """
    from residency.evaluate.suites.primary_metric import choose_primary

    dev = ws.split("dev")
    chosen = suite or ws.suite
    probes = make_probes(dev, ws.embedder, seed=ws.config.project.seed)
    if not probes["reference"]:
        return None
    metric = choose_primary(chosen, dev)
    more: dict[ProbeName, list[Finding]] = {}
    if metric.counted == "faultless":
        train = ws.split("train")
        known = find_known_words(train)
        labels = find_label_values(train)
        for name, answers in probes.items():
            more[name] = run_detectors(
                [example for example in dev if example.id in answers],
                probe_responses(name, answers),
                known_words=known,
                embedder=ws.embedder,
                config=ws.config.diagnose,
                max_new_tokens=ws.config.generate.max_new_tokens,
                label_values=labels,
            )
    return measure_probes(chosen, metric, dev, probes, embedder=ws.embedder, more=more)
