"""The on-disk contract: schemas, errors, tars, index, manifest, selection, reading, verification."""
