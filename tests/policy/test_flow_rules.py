"""Which flow a request means: picked, put right, asked about once, or out of scope."""

from __future__ import annotations

import pytest

from tests.tools.workspace_bench import Workspace, rules_in


@pytest.mark.breaks("FLOW-DEFAULT")
def test_without_a_flow_the_default_is_taken_and_nobody_asked(workspace: Workspace) -> None:
    """No flow and no words that mean one: `augmentation_and_al`, and the decision says so."""
    result = workspace.call("select_flow", clips=[workspace.clip()], engine="local")
    assert result.ok
    assert result.data["flow"] == "augmentation_and_al"
    assert rules_in(result) == ["FLOW-DEFAULT"]
    assert result.decisions[0].outcome == "fix"


@pytest.mark.keeps("FLOW-DEFAULT", "FLOW-INTENT", "FLOW-ALIAS", "FLOW-SCOPE", "INPUT-DEMO")
@pytest.mark.parametrize(
    ("wanted", "flow"),
    [
        ({"flow": "e2e"}, "e2e"),
        ({"request": "label my source clips"}, "auto_labeling"),
        ({"request": "make augmented clips and label them"}, "augmentation_and_al"),
        ({"request": "the full pipeline, quickly"}, "e2e"),
        ({"request": "the full pipeline, but super-resolve the originals first"}, "e2e_super_resolution"),
        ({"flow": "e2e", "request": "tune the guidance scale inside the container"}, "e2e"),
    ],
)
def test_a_named_flow_and_clear_words_need_no_decision(
    workspace: Workspace, wanted: dict[str, str], flow: str
) -> None:
    """The four intents pick their flows by words; a name the user gave is taken as it is."""
    result = workspace.call("select_flow", clips=[workspace.clip()], engine="local", **wanted)
    assert (result.data["flow"], rules_in(result)) == (flow, [])


@pytest.mark.breaks("FLOW-INTENT")
def test_words_that_contradict_each_other_are_asked_about_once(workspace: Workspace) -> None:
    """Rainy variants without augmentation is a question, with a call that answers it."""
    clip = workspace.clip()
    request = "no augmentation please, and make rain variants of it"
    result = workspace.call("select_flow", clips=[clip], request=request, engine="local")
    assert (result.status, result.exit_code) == ("needs_input", 3)
    assert rules_in(result) == ["FLOW-INTENT"]
    assert result.problem
    assert result.problem.message.count("?") == 1
    with workspace.journal() as journal:
        assert journal.runs() == []
    answered = workspace.follow(result.next[0])
    assert answered.ok
    assert answered.data["clips"] == [clip]


@pytest.mark.breaks("FLOW-INTENT")
def test_a_look_between_question_and_answer_is_no_answer(workspace: Workspace) -> None:
    """Previews and bubbles don't make the question be put again; a run that was begun since does."""
    words = {
        "clips": [workspace.clip()],
        "request": "no augmentation please, and make rain variants of it",
        "engine": "local",
    }
    assert workspace.call("select_flow", **words).status == "needs_input"
    assert workspace.call("preview", clip=words["clips"][0], variables={"weather": "rain"}).ok
    workspace.call("inspect_engine", engine="local", what="storage")
    answered = workspace.call("select_flow", **words)
    assert (answered.ok, rules_in(answered)) == (True, ["FLOW-INTENT"])
    assert workspace.call("select_flow", **words).status == "needs_input"


@pytest.mark.breaks("FLOW-INTENT")
@pytest.mark.parametrize("wanted", [{"variants": 3}, {"variables": {"weather": "rain"}}])
def test_words_for_labels_alone_beside_wanted_variants_are_asked_about(
    workspace: Workspace, wanted: dict[str, object]
) -> None:
    """Variants that a call asks for are never dropped in silence because of the words beside them."""
    clip = workspace.clip()
    result = workspace.call(
        "select_flow", clips=[clip], request="only label my clips", engine="local", **wanted
    )
    assert (result.status, rules_in(result)) == ("needs_input", ["FLOW-INTENT"])
    answered = workspace.follow(result.next[0])
    assert (answered.ok, answered.data["flow"]) == (True, "augmentation_and_al")


def test_a_named_flow_without_variants_refuses_them(workspace: Workspace) -> None:
    """`auto_labeling` with three variants is bad input that names the flows which make some."""
    result = workspace.call(
        "select_flow", clips=[workspace.clip()], flow="auto_labeling", variants=3, engine="local"
    )
    assert result.problem
    assert (result.exit_code, result.problem.code) == (2, "input.no_variants")
    assert "e2e" in result.problem.expected


@pytest.mark.breaks("FLOW-ALIAS")
def test_the_old_name_is_still_accepted(workspace: Workspace) -> None:
    """`augmentation_and_pl` begins a run of `augmentation_and_al`, and says so."""
    result = workspace.call(
        "select_flow", clips=[workspace.clip()], flow="augmentation_and_pl", engine="local"
    )
    assert (result.data["flow"], rules_in(result)) == ("augmentation_and_al", ["FLOW-ALIAS"])


@pytest.mark.breaks("FLOW-SCOPE")
def test_tuning_inside_a_container_is_out_of_scope(workspace: Workspace) -> None:
    """A question about a container's inside alone begins no run."""
    result = workspace.call("select_flow", request="which guidance scale should the container use?")
    assert (result.status, result.exit_code, rules_in(result)[0]) == ("denied", 4, "FLOW-SCOPE")
    with workspace.journal() as journal:
        assert journal.runs() == []
