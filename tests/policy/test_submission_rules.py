"""What a submit may carry: every value, none left open, on the pool, platform and storage that exist."""

from __future__ import annotations

import pytest

from tests.policy.conftest import Guarded
from tests.tools.workspace_bench import rules_in


def denied_by(guarded: Guarded, rule: str, **arguments: object) -> None:
    """Hold to it that a submit is refused by a rule, and that its corrected call would be sent."""
    result = guarded.workspace.call("submit", run_id=guarded.run_id, **arguments)
    assert (result.status, result.exit_code) == ("denied", 4)
    assert rule in rules_in(result)
    (decision,) = [one for one in result.decisions if one.rule == rule]
    assert decision.corrected
    shown = guarded.workspace.call("submit", **{**decision.corrected.arguments, "dry_run": True})
    assert (shown.ok, rules_in(shown)) == (True, [])
    with guarded.workspace.journal() as journal:
        assert not [one for one in journal.submissions(guarded.run_id) if one.batch == "0"]


@pytest.mark.breaks("SUBMIT-COMPLETE")
@pytest.mark.parametrize(
    "changed",
    [
        {"gpu_platform": None},
        {"skills_dir": ""},
        {"storage_url": "  "},
        {"cosmos_model_cache_url": "{{storage_url}}/data/models"},
        {"dataset": "<dataset>"},
        {"auto_labeling_model_cache_url": "…"},
        {"cookbook": "TODO"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_value_that_is_missing_empty_or_left_open_is_refused(
    guarded: Guarded, changed: dict[str, str | None]
) -> None:
    """All required values are there, none blank, none with a placeholder in it."""
    denied_by(guarded, "SUBMIT-COMPLETE", values=guarded.with_values(**changed))


@pytest.mark.breaks("POOL-ONLINE")
def test_a_pool_that_is_not_online_is_refused(guarded: Guarded) -> None:
    """The pool is one that preflight found ONLINE."""
    denied_by(guarded, "POOL-ONLINE", pool="somewhere")


@pytest.mark.breaks("PLATFORM-EXACT")
def test_a_platform_that_the_pool_does_not_list_is_refused(guarded: Guarded) -> None:
    """`gpu_platform` is never guessed."""
    denied_by(guarded, "PLATFORM-EXACT", values=guarded.with_values(gpu_platform="ovx-a100"))


@pytest.mark.breaks("STORAGE-NO-STALE")
@pytest.mark.parametrize("key", ["storage_url", "cosmos_model_cache_url", "auto_labeling_model_cache_url"])
@pytest.mark.parametrize("url", ["s3://left-over/prefix", "file:///somewhere/else"])
def test_a_url_on_another_backend_is_refused(guarded: Guarded, key: str, url: str) -> None:
    """Storage and caches lie where the data set lies; a left-over prefix never slips in."""
    denied_by(guarded, "STORAGE-NO-STALE", values=guarded.with_values(**{key: url}))


@pytest.mark.keeps("SUBMIT-COMPLETE", "POOL-ONLINE", "PLATFORM-EXACT", "STORAGE-NO-STALE")
def test_the_guarded_values_on_the_found_pool_pass(guarded: Guarded) -> None:
    """What preflight and guard found is what may be submitted."""
    shown = guarded.workspace.call(
        "submit", run_id=guarded.run_id, values=guarded.values, pool="local", dry_run=True
    )
    assert (shown.ok, rules_in(shown)) == (True, [])
