"""Label a clip: tracked boxes, an overlay, answers to a question bank, events.

cli        the container's command line: `--config FILE key=value …`
config     what may be configured, with its defaults
classes    the names that can be detected, and which of them are one kind of thing
detector   what a detector is; nanodet, weights: the one that comes with the package
kalman, bytetrack, labels: detections → tracks → the labels that are kept
frames, pipeline: the clip, decoded once, through detection and the overlay
overlay, writers: what is left on disk
measure    what can be told from the picture's statistics alone
questions, answers: the question bank and its answers
endpoint, visual, events: what is asked of a vision-language model
summary    the figures of it all; job: the order of it all
"""
