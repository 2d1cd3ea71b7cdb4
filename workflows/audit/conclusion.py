"""The audit that a run that is done amounts to."""

from memrec_core.auditing import Audit, Evidence
from memrec_core.auditing.audit import MAX_RATE, Subject, conclude
from memrec_core.auditing.distinct import Duplicates
from memrec_core.auditing.groups import by_group
from memrec_core.auditing.network import remarks_on
from memrec_core.autoencoders import forms
from workflows.audit.evidence import evidence_of, images_of
from workflows.audit.grouping import with_groups_of
from workflows.run.audit_set import load_audit_set
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.images import catalogues_of
from workflows.run.opened import OpenRun


def conclusion(run: OpenRun, max_rate: float | None, group: str | None = None) -> Audit:
    """What follows from a run, with the share of training images that may come back, and what makes pictures count as
    one. Raises InputError where its pictures are no longer there, and ResultsError where its rows are not sound."""
    experiment, store = run.experiment, run.store
    (data,), (model,) = experiment.data, experiment.given_models
    catalogue = catalogues_of(store)[data.label]
    audit = load_audit_set(data, experiment.seed, catalogue, store.uri)
    network, metadata = load_checkpoint(store, model, None)
    train, control = images_of(audit, "train"), images_of(audit, "control")
    subject = Subject(
        {**model.described(experiment.seed), "weights": model.weights, "digest": metadata["digest"]},
        catalogue.fingerprint("train"),
        catalogue.fingerprint("control"),
        remarks_on(forms.Named(model.network, model.weights), network, train.images),
    )
    evidence = evidence_of(run, audit, network)
    if group is not None:
        named = with_groups_of(train, group), with_groups_of(control, group)
        *sides, train, control = by_group(evidence.train, evidence.control, *named)
        evidence = Evidence(evidence.attacks, *sides)
    return conclude(
        subject,
        evidence,
        train,
        control,
        _duplicates(catalogue),
        MAX_RATE if max_rate is None else max_rate,
        experiment.degradations,
        [entry.method for entry in experiment.methods],
        experiment.seed,
    )


def _duplicates(catalogue: Catalogue) -> Duplicates:
    return Duplicates(len(catalogue.left_out()), catalogue.copies("train"), catalogue.copies("control"))
