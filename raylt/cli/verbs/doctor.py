"""`raylt doctor`: examine the machines before a search uses them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.cli.target import Target


@click.command(cls=options.Verb)
@options.sending_options
@options.json_option
def doctor(as_json: bool, target: Target) -> None:
    """Examine the machines before a search uses them.

    \b
    Examples:
      raylt doctor
      raylt doctor --cluster clusters/multi-node.yaml
      raylt doctor --address http://head:8265 --runs /shared/runs --json
    """
    target.send_unless_here(["doctor"], label="doctor", as_json=as_json)
    from raylt.cluster import doctor
    from raylt.study.resources import environment, local_ray

    environment.prepare_ray(threads=1, alone=False)
    findings = doctor.examine(target.settings, cores=local_ray.cores())
    if as_json:
        output.print_json([asdict(finding) for finding in findings])
    else:
        output.tell(doctor.text(findings))
    raise click.exceptions.Exit(3 if doctor.worst(findings) == "error" else 0)
