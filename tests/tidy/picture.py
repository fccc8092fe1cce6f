"""Who may include whom: the picture in docs/ARCHITECTURE.md as data.

A layer is a folder and what lies below it, up to the next layer. It may include itself and whatever
LAYERS lists for it, and what those may include."""

LAYERS = {
    "schema/base": [],
    "schema": ["schema/base"],
    "recorder/ring": ["schema"],
    "recorder/capture": ["recorder/ring"],
    "recorder/drain": ["recorder/ring"],
    "recorder/import": ["recorder/drain"],
    "recorder/preload": ["recorder/capture"],
    "recorder": ["recorder/capture", "recorder/drain"],
    "recorder/probe": ["recorder"],
    "recorder/attach": ["recorder"],
    "replayer": ["schema"],
    "replayer/serve": ["replayer"],
    "analysis": ["replayer"],
    "cli": ["analysis", "replayer/serve", "recorder", "recorder/import", "recorder/probe",
            "recorder/attach"],
    "tests": ["cli", "recorder/preload"],
}

# The one edge beside the layers: the recorded exits are served through the general part of the
# preload library.
EXTRA_EDGES = {("replayer/serve", "recorder/preload/interpose.h")}

# Headers from outside that are not for everyone: name or prefix -> layers that may include them.
EXTERNAL = {
    "CLI/": ["cli"],
    "capnp/": ["schema", "recorder/drain", "replayer", "tests"],
    "kj/": ["schema", "recorder/drain", "replayer", "tests"],
    "zstd.h": ["schema", "recorder/drain", "recorder/import", "replayer", "tests"],
    "gelf.h": ["analysis"],
    "capstone/": ["replayer", "analysis", "tests"],
    "gtest/": ["tests"],
    "gmock/": ["tests"],
    "benchmark/": ["tests"],
}

# What a layer must not reach, not even through headers of other layers: a name, or a prefix with /.
OUT_OF_REACH = {
    "recorder/capture": ["capnp/", "kj/", "zstd.h", "string", "iostream", "fmt/", "nlohmann/"],
    "recorder/preload": ["capnp/", "kj/", "zstd.h", "fmt/", "nlohmann/"],
    # The replayer runs on machines of any architecture; <linux/kvm.h> describes only this one.
    "replayer": ["linux/kvm.h", "asm/kvm.h"],
    "replayer/serve": ["linux/kvm.h", "asm/kvm.h"],
    "analysis": ["linux/kvm.h", "asm/kvm.h"],
}

# Headers that the build generates, by the layer that they belong to.
GENERATED = {"schema/trace.capnp.h": "schema"}


def layer_of(path):
    """The deepest layer that a path lies in; None outside all of them."""
    inside = [layer for layer in LAYERS if path.startswith(layer + "/")]
    return max(inside, key=len) if inside else None


def reachable(layer):
    """The layers that this one may include, itself among them."""
    found, waiting = set(), [layer]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += LAYERS[here]
    return found
