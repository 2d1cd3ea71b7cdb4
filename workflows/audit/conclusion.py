"""The audit that a run that is done amounts to."""

from memrec_core.auditing import Audit, Evidence
from memrec_core.auditing.audit import MAX_RATE, Subject, conclude, of_pictures
from memrec_core.auditing.distinct import Duplicates
from memrec_core.auditing.groups import by_group
from memrec_core.auditing.network import remarks_on
from memrec_core.auditing.order import fingerprint, ordered_with
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
    evidence = evidence_of(run, audit, network)
    own, train = ordered_with(evidence.train, images_of(audit, "train"))
    others, control = ordered_with(evidence.control, images_of(audit, "control"))
    subject = Subject(
        {
            **model.described(experiment.seed),
            "weights": model.weights,
            "digest": metadata["digest"],
            "trusted_code": model.trusts_code,
        },
        fingerprint(catalogue.digests("train")),
        fingerprint(catalogue.digests("control")),
        (*remarks_on(model.named, network, train.images), *of_pictures(catalogue.remarks)),
    )
    if group is not None:
        own, others, train, control = by_group(
            own, others, with_groups_of(train, group), with_groups_of(control, group)
        )
    evidence = Evidence(evidence.attacks, own, others)
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
