"""What a staged run looks like on this machine: every file of it by name, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VARIANT_FILE = "augmented_video.mp4"
METADATA_FILE = "metadata.json"
LABEL_FILES = (
    "annotations_coco.json",
    "tracks_mot.txt",
    "overlay.mp4",
    "mcq.json",
    "events.json",
    "summary.json",
)


def variant_name(video: str, aug_idx: int) -> str:
    """Return the name of a variant: `<video>_aug<k>`."""
    return f"{video}_aug{aug_idx}"


@dataclass(frozen=True)
class RunMirror:
    """The local copy of a run's whole output, with the clips that went in."""

    root: Path

    def input(self, video: str) -> Path:
        """Return the path of the source clip."""
        return self.root / "input" / f"{video}.mp4"

    def labels(self, video: str) -> Path:
        """Return the folder with the labels of an original."""
        return self.root / "outputs" / "pseudo_labeled" / video

    def variant_dir(self, video: str, aug_idx: int) -> Path:
        """Return the folder of a variant."""
        return self.root / "outputs" / "augmented" / variant_name(video, aug_idx)

    def variant(self, video: str, aug_idx: int) -> Path:
        """Return the path of a variant's video."""
        return self.variant_dir(video, aug_idx) / VARIANT_FILE

    def metadata(self, video: str, aug_idx: int) -> Path:
        """Return the path of what the augmentation says of its variant."""
        return self.variant_dir(video, aug_idx) / METADATA_FILE

    def variant_labels(self, video: str, aug_idx: int) -> Path:
        """Return the folder with the labels of a variant."""
        return self.root / "outputs" / "pseudo_labeled_augmented" / variant_name(video, aug_idx)

    def label_folders(self) -> Iterator[Path]:
        """Yield the folder of each original's and each variant's labels that is there."""
        for kind in ("pseudo_labeled", "pseudo_labeled_augmented"):
            yield from sorted(path for path in (self.root / "outputs" / kind).glob("*") if path.is_dir())

    def manifests(self) -> Iterator[Path]:
        """Yield the manifest of every batch, in their order."""
        yield from sorted(
            self.root.glob("setup_b*/configs/manifest.yaml"),
            key=lambda path: int(path.parts[-3].removeprefix("setup_b")),
        )

    def compare(self, dataset: str, video: str, aug_idx: int) -> Path:
        """Return the path of the side by side."""
        return self.root / "display" / f"{dataset}_{variant_name(video, aug_idx)}_compare.mp4"

    def contact_sheet(self, video: str) -> Path:
        """Return the path of a clip's contact sheet."""
        return self.root / "display" / f"{video}_contact_sheet.jpg"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.root / "report.html"
