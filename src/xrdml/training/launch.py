"""Training on the nodes of a cluster: one process a device, started by SLURM through submitit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from xrdml.errors import UserError

CLUSTERS = ("slurm", "local")


@dataclass(frozen=True)
class Training:
    """What every process runs; submitit pickles it."""

    words: tuple[str, ...]

    def __call__(self) -> str:
        import submitit

        from xrdml.training.config import load_config
        from xrdml.training.fit import fit

        # MASTER_ADDR, RANK, LOCAL_RANK …: from them Lightning knows that its processes are there already.
        environment = submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False)
        os.environ["NODE_RANK"] = str(environment.rank // environment.local_world_size)
        return str(fit(load_config(self.words)))

    def checkpoint(self, *_: Any) -> Any:
        """What SLURM queues again when it takes the nodes away: the same run, from its last checkpoint."""
        import submitit

        words = [word for word in self.words if not word.startswith("ckpt=")]
        return submitit.helpers.DelayedSubmission(Training((*words, "ckpt=last")))


def launch(words: list[str], config: DictConfig) -> str:
    """Submit a training run; returns what became of it, for the user.

    With ``launcher.wait`` it returns when the run has ended, else as soon as it is queued.

    Parameters
    ----------
    words
        The overrides of the run, those of the launcher among them.
    config
        The same, composed: `launcher`, and of `trainer` the devices and nodes.

    Raises
    ------
    UserError
        submitit is not installed, there is no such cluster here, or the run failed.
    """
    try:
        import submitit
    except ImportError:
        raise UserError("launcher.cluster needs submitit; pip install 'xrdml[cluster]'") from None
    options, trainer = config.launcher, config.trainer
    if options.cluster not in CLUSTERS:
        raise UserError(f"launcher.cluster={options.cluster}: choose from {', '.join(CLUSTERS)}")
    if not config.run.dir or trainer.devices < 1:
        raise UserError("launcher.cluster needs run.dir=DIR and trainer.devices=N, the processes on a node")
    # The nodes share neither a working directory nor this process' idea of one.
    words = [*words, f"run.dir={Path(config.run.dir).absolute()}"]
    try:
        executor = submitit.AutoExecutor(folder=Path(config.run.dir) / "jobs", cluster=options.cluster)
        executor.update_parameters(
            name="xrdml",
            nodes=trainer.num_nodes,
            tasks_per_node=trainer.devices,
            cpus_per_task=options.cpus,
            timeout_min=options.minutes,
            **({"gpus_per_node": trainer.devices} if trainer.accelerator == "gpu" else {}),
            **({"slurm_partition": options.partition} if options.partition else {}),
        )
        job = executor.submit(Training(tuple(words)))
    except (RuntimeError, OSError) as error:
        raise UserError(f"launcher.cluster={options.cluster}: {str(error).splitlines()[0]}") from None
    if not options.wait:
        return f"job {job.job_id} is queued; its output: {job.paths.stdout}"
    try:
        [folder, *_] = job.results()
    except submitit.core.utils.UncompletedJobError:
        raise UserError("the job ended without a result", path=job.paths.stderr) from None
    except submitit.core.utils.FailedJobError as error:
        raise UserError(
            f"the job failed: {str(error).strip().splitlines()[-1]}", path=job.paths.stderr
        ) from None
    return f"job {job.job_id} has ended, run {folder}"
