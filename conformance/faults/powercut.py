"""What a disk might have after a power cut: all that was synced, and of the rest some sectors, as
the notes of powercut.c tell."""
import os
import struct

NOTE = struct.Struct("@cb6xQQ")
SECTOR = 512
SUFFIXES = {1: "", 2: "-wal"}


class Image:
    """A file: what is on the disk for certain, and what was done to it since."""

    def __init__(self, data):
        self.data = data
        self.pending = []
        self.settled = 0  # changes before those

    def apply(self, what, offset, data):
        if what == b"t":
            del self.data[offset:]
            self.data.extend(bytes(offset - len(self.data)))
        else:
            self.data.extend(bytes(max(0, offset - len(self.data))))
            self.data[offset:offset + len(data)] = data

    def sync(self, until):
        """Of so many changes, counted from the first one."""
        n = max(0, until - self.settled)
        for change in self.pending[:n]:
            self.apply(*change)
        self.forget(n)

    def forget(self, n):
        self.settled += n
        del self.pending[:n]

    def unlink(self):
        self.data.clear()
        self.forget(len(self.pending))

    def cut(self, random):
        """Nothing, everything, or some sectors of what was not synced."""
        part = random.choice([0, 1, random.random()])
        for what, offset, data in self.pending:
            if what == b"t":
                if random.random() < part:
                    self.apply(what, offset, data)
                continue
            for at in range(0, len(data), SECTOR):
                if random.random() < part:
                    self.apply(what, offset + at, data[at:at + SECTOR])
        self.forget(len(self.pending))


class PowerCut:
    """For one broker (frysd.Frysd) with a store; library: what powercut.c has become."""

    def __init__(self, broker, library):
        self.file = broker.config["storage"]["file"]
        self.notes = os.path.join(broker.folder, "notes")
        broker.env = {"LD_PRELOAD": os.path.abspath(library), "POWERCUT_FILE": self.file,
                      "POWERCUT_NOTES": self.notes}
        self.remember()

    def remember(self):
        """What is on the disk now, is there for certain."""
        self.images = {kind: Image(self.read(suffix)) for kind, suffix in SUFFIXES.items()}
        if os.path.exists(self.notes):
            os.unlink(self.notes)

    def read(self, suffix):
        try:
            with open(self.file + suffix, "rb") as f:
                return bytearray(f.read())
        except FileNotFoundError:
            return bytearray()

    def replay(self):
        with open(self.notes, "rb") as f:
            while head := f.read(NOTE.size):
                if len(head) < NOTE.size:
                    break
                what, kind, offset, n = NOTE.unpack(head)
                data = f.read(n)
                if what == b"s":
                    self.images[kind].sync(offset)
                elif what == b"u":
                    self.images[kind].unlink()
                else:
                    self.images[kind].pending.append((what, offset, data))

    def cut(self, random):
        """The process has been killed: put what the disk might have in the place of its files. The
        number of changes that were not synced."""
        self.replay()
        n = sum(len(i.pending) for i in self.images.values())
        for kind, suffix in SUFFIXES.items():
            self.images[kind].cut(random)
            with open(self.file + suffix, "wb") as f:
                f.write(self.images[kind].data)
        if os.path.exists(self.file + "-shm"):
            os.unlink(self.file + "-shm")
        self.remember()
        return n
