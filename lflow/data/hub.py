"""Where the parquet files of a named data set are: in the folder LFLOW_DATA, or else on the Hugging Face hub.

Knows nothing of what is in them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

# What the hub itself allows, and nothing that could be a path.
_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_PARQUET_BRANCH = "refs/convert/parquet"  # where the hub keeps its own conversion of other formats
_SHARD = r"(-\d{5}-of-(?P<shards>\d{5})[^/]*|/\d+)?\.parquet"


@dataclass(frozen=True)
class HubSet:
    """A data set on the hub: `id` is owner/name; `config` is the folder of its files where it has several;
    `size` is the side that its pictures are scaled to where they differ."""

    id: str
    config: str | None = None
    size: int | None = None


def is_hub_id(text: str) -> bool:
    """Whether a text can be the id of a data set on the hub, owner/name."""
    return _ID.fullmatch(text) is not None and ".." not in text and "--" not in text


def local_files(stem: str, split: str) -> list[Path]:
    """The files `stem-split.parquet`, or its numbered shards, in the folder that LFLOW_DATA names; or none.

    ValueError where LFLOW_DATA is not a folder, and where some of the shards are missing.
    """
    named = os.environ.get("LFLOW_DATA")
    if not named:
        return []
    folder = Path(named)
    if not folder.is_dir():
        raise ValueError(f"LFLOW_DATA names {named!r}, which is not a folder")
    names = sorted(path.name for path in folder.iterdir())
    return [folder / name for name in _of_split(names, f"{stem}-{split}", str(folder))]


def download(hub_set: HubSet, stem: str, split: str) -> list[Path]:
    """The files of a split, downloaded by huggingface_hub, or from its own cache.

    OSError where the hub cannot be reached; ValueError where it has no such data set or no such split.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HTTPError, RepositoryNotFoundError

    try:
        revision, names = _listing(hub_set, split)
        return [
            Path(hf_hub_download(hub_set.id, name, repo_type="dataset", revision=revision)) for name in names
        ]
    except RepositoryNotFoundError:
        raise ValueError(f"the Hugging Face hub has no data set {hub_set.id!r} that is open to you") from None
    except (OSError, HTTPError) as error:
        folder = os.environ.get("LFLOW_DATA") or "a folder and name the folder in LFLOW_DATA"
        raise OSError(
            f"{stem} is not on this machine and the Hugging Face hub does not give {hub_set.id} "
            f"({type(error).__name__}): put {stem}-{split}.parquet into {folder}"
        ) from None


def _listing(hub_set: HubSet, split: str) -> tuple[str | None, list[str]]:
    """The revision and the names in it of the parquet files of a split."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    for revision in (None, _PARQUET_BRANCH):
        try:
            # Unlike a listing of the repository this asks once: without a network it says so at once.
            info = HfApi().dataset_info(hub_set.id, revision=revision, timeout=20)
        except RevisionNotFoundError:
            continue
        names = sorted(sibling.rfilename for sibling in info.siblings or ())
        found = _of_config(names, hub_set, split)
        if found:
            return revision, found
    raise ValueError(f"{hub_set.id} on the Hugging Face hub has no split {split!r} in parquet files")


def _of_config(names: list[str], hub_set: HubSet, split: str) -> list[str]:
    pattern = re.compile(rf"(?P<config>(.*/)?){split}{_SHARD}")
    configs = sorted({match["config"] for name in names if (match := pattern.fullmatch(name))})
    if hub_set.config is not None:
        configs = [config for config in configs if config == f"{hub_set.config}/"]
    if len(configs) > 1:
        listed = ", ".join(config.rstrip("/") or "." for config in configs)
        raise ValueError(
            f"{hub_set.id} has several sets ({listed}): download one and give the path of its parquet file"
        )
    return [name for config in configs for name in _of_split(names, config + split, hub_set.id)]


def _of_split(names: list[str], start: str, where: str) -> list[str]:
    """The names that are the start, or its shards. ValueError where some of the shards are missing."""
    pattern = re.compile(re.escape(start) + _SHARD)
    matches = [match for name in names if (match := pattern.fullmatch(name))]
    expected = max((int(match["shards"] or 1) for match in matches), default=0)
    if any(match["shards"] for match in matches) and len(matches) != expected:
        raise ValueError(f"{where} holds {len(matches)} of the {expected} files of {start}")
    return [match.string for match in matches]
