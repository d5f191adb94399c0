"""The files of a cookbook."""

from __future__ import annotations

GUIDE = "README.md"
WORKFLOW_CONFIG = "workflow_config.yaml"
AUGMENTATION = "augmentation/augmentation.yaml"
CAPTION_PROMPT = "augmentation/prompts/vlm_caption_system_prompt.md"
TEMPLATE_PROMPT = "augmentation/prompts/template_generation_system_prompt.md"
POLISHING_PROMPT = "augmentation/prompts/prompt_polishing_system_prompt.md"
LABELING = "auto_labeling/auto_labeling_config.yaml"
EVENT_PROMPT = "auto_labeling/prompts/event_analysis.md"
QUESTION_BANK = "auto_labeling/question_bank.json"

SENT_FILES = (
    WORKFLOW_CONFIG,
    AUGMENTATION,
    CAPTION_PROMPT,
    TEMPLATE_PROMPT,
    POLISHING_PROMPT,
    LABELING,
    EVENT_PROMPT,
    QUESTION_BANK,
)
"""What goes into a run's tasks; the guide is for people."""
