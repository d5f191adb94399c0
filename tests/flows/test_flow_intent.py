"""From words to flows."""

from __future__ import annotations

import pytest

from skill_tools.flows.intent import choose


@pytest.mark.parametrize(
    ("request_text", "flow"),
    [
        ("label my source clips", "auto_labeling"),
        ("PL only", "auto_labeling"),
        ("no augmentation", "auto_labeling"),
        ("only label", "auto_labeling"),
        ("I don't want any variants, just labels", "auto_labeling"),
        ("I don’t want any variants", "auto_labeling"),
        ("Skip augmentation; annotate the footage", "auto_labeling"),
        ("could you annotate my footage without making any augmented copies?", "auto_labeling"),
        ("no need to augment anything", "auto_labeling"),
        ("label everything, no variants", "auto_labeling"),
        ("not the full pipeline, just label", "auto_labeling"),
        ("use video data augmentation to label my clips, no augmentation", "auto_labeling"),
        ("I'd like bounding boxes for these videos", "auto_labeling"),
        ("label my clips and set the guidance scale to 5", "auto_labeling"),
        ("make augmented clips and label them", "augmentation_and_al"),
        ("make it rain", "augmentation_and_al"),
        ("evening versions of my clips", "augmentation_and_al"),
        ("don't skip the augmentation", "augmentation_and_al"),
        ("not only label but also augment", "augmentation_and_al"),
        ("label only the variants", "augmentation_and_al"),
        ("only label the augmented clips", "augmentation_and_al"),
        ("no rain variants, only evening variants", "augmentation_and_al"),
        ("just variants, no labels", "augmentation_and_al"),
        ("Please augment /data/clip.mp4 but do not upscale", "augmentation_and_al"),
        ("full pipeline but don't label the originals", "augmentation_and_al"),
        ("augmentation_and_pl", "augmentation_and_al"),
        ("the full pipeline, quickly", "e2e"),
        ("fast full pipeline", "e2e"),
        ("run the whole video data augmentation pipeline", "e2e"),
        ("label the originals and make rain variants", "e2e"),
        ("both originals and variants labelled", "e2e"),
        ("end-to-end, no super-resolution", "e2e"),
        ("without super-resolution, full pipeline", "e2e"),
        ("the full pipeline, but super-resolve the originals first", "e2e_super_resolution"),
        ("super-resolve first", "e2e_super_resolution"),
        ("upscale the originals, label, augment, label again", "e2e_super_resolution"),
        ("run e2e_super_resolution on these", "e2e_super_resolution"),
    ],
)
def test_words_pick_their_flow(request_text: str, flow: str) -> None:
    """The four intents are understood in the words of people, negations and all."""
    choice = choose(request_text)
    assert choice.flow == flow
    assert choice.matched
    assert not choice.contradiction
    assert not choice.out_of_scope
    assert flow in choice.reason


@pytest.mark.parametrize(
    "request_text", ["", "hello", "run the VDA demo", "video data augmentation", "what can you do?"]
)
def test_words_without_an_intent_leave_the_default(request_text: str) -> None:
    """Neither the skill's own name nor small talk picks a flow."""
    choice = choose(request_text)
    assert choice.flow is None
    assert not choice.contradiction
    assert not choice.out_of_scope
    assert choice.reason == "no flow is implied"


@pytest.mark.parametrize(
    ("request_text", "one", "other"),
    [
        ("no augmentation and rain variants", "no augmentation", "variants"),
        ("full pipeline without augmentation", "without augmentation", "full pipeline"),
        ("super-resolve my clips, no augmentation", "no augmentation", "super-resolve"),
        ("upscale them, but no upscaling", "no upscaling", "upscale"),
    ],
)
def test_words_that_contradict_each_other_make_one_question(request_text: str, one: str, other: str) -> None:
    """The question quotes both sides, and no flow is picked."""
    choice = choose(request_text)
    assert choice.contradiction
    assert choice.flow is None
    assert choice.matched == (one, other)
    assert one in choice.question
    assert other in choice.question
    assert choice.question.count("?") == 1
    assert "contradict" in choice.reason


@pytest.mark.parametrize(
    "request_text",
    [
        "How do I tune guidance scale inside the augmentation container?",
        "which denoising steps give better variants?",
        "Explain the TensorRT settings in the container",
    ],
)
def test_questions_about_the_inside_of_a_container_are_out_of_scope(request_text: str) -> None:
    """Tuning alone is turned away; tuning beside work on clips is not."""
    choice = choose(request_text)
    assert choice.out_of_scope
    assert choice.flow is None
    assert "container" in choice.reason
