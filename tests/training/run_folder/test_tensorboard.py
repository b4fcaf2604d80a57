import struct

import pytest

from keras_dla.training import EventFiles, Progress, open_run

pytest.importorskip("tensorboard", reason="needs tensorboard, which knows the format")

ROWS = [
    {"epoch": 1, "learning_rate": 0.5, "loss": 2.0, "val_loss": 3.0, "seconds": 8.0},
    {"epoch": 2, "learning_rate": 0.25, "loss": 1.0, "val_loss": 1.5, "seconds": 4.0},
]


def events_of(path):
    """Reads the records by their lengths: 8 bytes of length, 4 of checksum, data, 4 of checksum."""
    from tensorboard.compat.proto.event_pb2 import Event

    content, events = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return events


def scalars_of(folder, part):
    first, *events = events_of(folder / "tensorboard" / part / "events.out.tfevents.run")
    assert first.file_version == "brain.Event:2"
    assert [event.wall_time for event in events] == sorted(event.wall_time for event in events)
    return {
        event.step: {value.tag: value.simple_value for value in event.summary.value}
        for event in events
    }


EXPECTED = {
    "train": {
        1: {"epoch_learning_rate": 0.5, "epoch_loss": 2.0},
        2: {"epoch_learning_rate": 0.25, "epoch_loss": 1.0},
    },
    "validation": {1: {"epoch_loss": 3.0}, 2: {"epoch_loss": 1.5}},
}


def test_an_epoch_after_the_other(tmp_path):
    folder, progress = open_run(tmp_path / "run", {}), Progress()
    writer = EventFiles(folder, progress)
    writer.on_train_begin()
    for epoch, row in enumerate(ROWS):
        progress.history = [*progress.history, row]
        writer.on_epoch_end(epoch)
    for part, expected in EXPECTED.items():
        assert scalars_of(folder, part) == expected


def test_going_on_leaves_every_epoch_once(tmp_path):
    folder = open_run(tmp_path / "run", {})
    progress = Progress(ROWS[:1])
    EventFiles(folder, progress).on_train_begin()
    path = folder / "tensorboard" / "train" / "events.out.tfevents.run"
    path.write_bytes(path.read_bytes()[:-7])  # a process that was killed while writing
    writer = EventFiles(folder, progress)
    writer.on_train_begin()
    progress.history = ROWS
    writer.on_epoch_end(1)
    for part, expected in EXPECTED.items():
        assert scalars_of(folder, part) == expected
