"""Label a clip: tracked boxes, an overlay, answers to a question bank, events.

cli, config                             the container's command line, and what may be configured
classes                                 what can be detected, and which classes are one kind of thing
detector, nanodet, weights, superres    pictures → boxes
kalman, bytetrack, labels               boxes → tracks → the labels that are kept
frames, stream, pipeline                the clip, decoded once, through all of it at the same time
overlay, writers, summary               what is left on disk
gauge, judge                            what the pictures' figures alone can tell
questions, answers                      the question bank and its answers
model, endpoint, visual, events         what is asked of a vision-language model
spoken_json                             objects out of its words
job                                     the order of it all
"""
