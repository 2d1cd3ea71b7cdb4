"""memrec's recoveries as a user of Ray Data would write them: actors that hold the checkpoint map batches of images,
and what comes out goes to Parquet. `CheckpointConfig` keeps which rows are done, for a run that is started again.

    python -m benchmarks.ray_data_pipeline CHECKPOINT FOLDER [--actors 2] [--address ADDRESS] ...
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data
import torch
from ray.data import ActorPoolStrategy
from ray.data.checkpoint import CheckpointConfig

from benchmarks.watched import Watched
from memrec_core import checkpoints, datasets, degradations, metrics
from memrec_core.recovery import Denoiser, Problem

SEED, SHAPE, IMAGES = 42, (3, 32, 32), 48
MASKS = ["center", "bottom", "random_80", "stripes"]
BATCH = 48
GAMMA, MAX_ITERATIONS = 0.5, 20


class Recover:
    """Recovers batches of images, each under one mask."""

    def __init__(self, checkpoint: str) -> None:
        torch.set_num_threads(1)
        network, _ = checkpoints.load(checkpoint)
        self.basis = Denoiser(network, GAMMA)
        self.method = Watched(max_iterations=MAX_ITERATIONS)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        images = torch.from_numpy(np.stack(list(batch["pixels"]))).view(-1, *SHAPE).float().div(255)
        [mask], ids = set(batch["mask"]), list(batch["image"])
        erasure = degradations.Erasure(mask)
        operator, degraded = erasure.operator(SHAPE, ids, SEED), erasure.degrade(images, ids, SEED)
        found = self.method.recover(self.basis, Problem(degraded, operator, [0.0] * len(ids), ids, SEED))
        error = metrics.mse(found.images, images)
        return {
            **{name: batch[name] for name in ("id", "image", "mask")},
            "mse": np.asarray(error),
            "psnr": np.asarray(metrics.psnr(error)),
            "status": np.array(list(found.status)),
            "outer_iterations": np.asarray(found.iterations),
        }


def write_work(folder: Path) -> None:
    """A row for each recovery, a file for each mask and split."""
    folder.mkdir(parents=True)
    for split in ("train", "control"):
        images = datasets.load("photos", count=IMAGES, size=SHAPE[1:], seed=SEED, split=split)
        names = [f"{split}/{id_}" for id_ in images.ids]
        pixels = pa.array(list(images.images.mul(255).round().byte().flatten(1).numpy()))
        for mask in MASKS:
            ids = [f"{name}/{mask}" for name in names]
            table = pa.table({"id": ids, "image": names, "mask": [mask] * IMAGES, "pixels": pixels})
            pq.write_table(table, folder / f"{mask}-{split}.parquet")


def connect(address: str, actors: int) -> None:
    options: dict[str, object] = {"log_to_driver": False, "logging_level": "error"}
    if address == "local":
        # Beside the actors, one for the tasks that read and write, and one for the actor that filters out what is done:
        # with three CPUs for two actors, a run that was started again did not end.
        options |= {"num_cpus": actors + 2, "include_dashboard": False}
    ray.init(address, **options)  # pyright: ignore[reportArgumentType]


def recover(asked: argparse.Namespace) -> None:
    folder = Path(asked.folder)
    if not (folder / "work").exists():
        write_work(folder / "work")
    connect(asked.address, asked.actors)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = asked.max_errored_blocks
    context.checkpoint_config = CheckpointConfig(
        "id", str(folder / "done"), delete_checkpoint_on_success=asked.forget_when_done
    )
    rows = ray.data.read_parquet(str(folder / "work"))
    if not asked.one_block:  # Ray reads files as small as these into one block, which one actor then does alone
        rows = rows.repartition(target_num_rows_per_block=BATCH)
    recovered = rows.map_batches(
        Recover,
        fn_constructor_args=[asked.checkpoint],
        batch_size=BATCH,
        num_cpus=1,
        # Ray's two in hand for each actor: fewer were no faster.
        compute=ActorPoolStrategy(size=asked.actors, max_tasks_in_flight_per_actor=2),
    )
    recovered.write_parquet(str(folder / "recovery"))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("folder")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--address", default="local")
    parser.add_argument("--one-block", action="store_true")
    parser.add_argument("--forget-when-done", action="store_true")
    parser.add_argument("--max-errored-blocks", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    recover(arguments())
