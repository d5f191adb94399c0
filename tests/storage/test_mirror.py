"""What a staged run looks like: every file by its name."""

from __future__ import annotations

from pathlib import Path

from skill_tools.storage.mirror import RunMirror, variant_name


def test_every_file_has_the_name_that_the_workers_gave_it(tmp_path: Path) -> None:
    """The mirror has the storage's own structure, with the clips and the displays beside it."""
    mirror = RunMirror(tmp_path)
    expected = {
        mirror.input("car"): "input/car.mp4",
        mirror.labels("car"): "outputs/pseudo_labeled/car",
        mirror.variant("car", 2): "outputs/augmented/car_aug2/augmented_video.mp4",
        mirror.metadata("car", 2): "outputs/augmented/car_aug2/metadata.json",
        mirror.variant_labels("car", 2): "outputs/pseudo_labeled_augmented/car_aug2",
        mirror.compare("cars", "car", 2): "display/cars_car_aug2_compare.mp4",
        mirror.report: "report.html",
    }
    assert {path.relative_to(tmp_path).as_posix() for path in expected} == set(expected.values())
    assert variant_name("car", 2) == "car_aug2"


def test_manifests_come_in_the_order_of_their_batches(tmp_path: Path) -> None:
    """The tenth batch comes after the second, and a folder without a manifest counts for nothing."""
    for batch in (10, 0, 2):
        configs = tmp_path / f"setup_b{batch}" / "configs"
        configs.mkdir(parents=True)
        (configs / "manifest.yaml").touch()
    (tmp_path / "setup_b3").mkdir()
    assert [path.parts[-3] for path in RunMirror(tmp_path).manifests()] == [
        "setup_b0",
        "setup_b2",
        "setup_b10",
    ]
