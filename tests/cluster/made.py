"""Machines and the places that trials want on them."""

import math

from raylt.cluster.capacity import (
    Need,
    Node,
    Shape,
)


def node(cpus, gpus=0.0, name="n", memory=math.inf):
    return Node(id=name, name=name, address="", cpus=cpus, gpus=gpus, memory=memory)


def shape(workers=1, cpus=1, gpus=0.0, placement="pack", memory=0.0, least=None):
    return Shape(
        workers=workers,
        least=least or workers,
        cpus=cpus,
        gpus=gpus,
        placement=placement,
        memory=memory,
    )


def need(memory=1.0, gpu_memory=0.0, gpu_size=0.0, gpu_busy=0.0):
    return Need(memory=memory, gpu_memory=gpu_memory, gpu_size=gpu_size, gpu_busy=gpu_busy)
