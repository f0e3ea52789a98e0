"""The part of KubeRay's objects that our files use, closed: the real one lets misspelt keys pass.

Field names and kinds follow the published API of `ray.io/v1` (KubeRay 1.5).
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from raylt.schema import Frozen

Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(m|Ki|Mi|Gi)?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=50)]


class Env(Frozen):
    name: str
    value: str


class Resources(Frozen):
    requests: dict[str, Quantity]
    limits: dict[str, Quantity]


class Mount(Frozen):
    name: Name
    mountPath: Annotated[str, StringConstraints(pattern="^/")]
    readOnly: bool = False


class Container(Frozen):
    name: Name
    image: Annotated[str, StringConstraints(pattern=r":[\w.-]+$")]
    env: list[Env]
    resources: Resources
    volumeMounts: list[Mount]


class Claim(Frozen):
    claimName: Name


class Memory(Frozen):
    medium: Literal["Memory"]
    sizeLimit: Quantity


class ConfigMap(Frozen):
    name: Name


class Volume(Frozen):
    name: Name
    persistentVolumeClaim: Claim | None = None
    emptyDir: Memory | None = None
    configMap: ConfigMap | None = None


class Security(Frozen):
    runAsNonRoot: Literal[True]
    runAsUser: Annotated[int, Field(ge=1)]
    fsGroup: Annotated[int, Field(ge=1)]


class Pod(Frozen):
    securityContext: Security
    containers: list[Container]
    volumes: list[Volume]


class Template(Frozen):
    spec: Pod


class Group(Frozen):
    rayStartParams: dict[str, str]
    template: Template


class Workers(Group):
    groupName: Name
    replicas: Annotated[int, Field(ge=0)]
    minReplicas: Annotated[int, Field(ge=0)]
    maxReplicas: Annotated[int, Field(ge=1)]


class Auth(Frozen):
    mode: Literal["token"]


class Cluster(Frozen):
    rayVersion: str
    authOptions: Auth
    headGroupSpec: Group
    workerGroupSpecs: list[Workers]
    enableInTreeAutoscaling: bool = False


class Job(Frozen):
    entrypoint: str
    submissionMode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode"]
    backoffLimit: Annotated[int, Field(ge=0)]
    activeDeadlineSeconds: Annotated[int, Field(ge=1)]
    preRunningDeadlineSeconds: Annotated[int, Field(ge=1)]
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: Annotated[int, Field(ge=0)]
    rayClusterSpec: Cluster


class Metadata(Frozen):
    name: Name


class RayCluster(Frozen):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: Cluster


class RayJob(Frozen):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: Job
