"""What an agent should do with this skill, prompt by prompt, and whether the tools agree."""
