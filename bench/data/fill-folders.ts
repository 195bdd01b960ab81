/** Fills the folders `full` and `half` below a root; files of `half` are hard links and so cost no space. */
import { closeSync, linkSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DataSetBuilder, type DataSets } from './data-set.ts';
import type { BenchObject } from './objects.ts';

export function fillFolders(root: string, objects: Iterable<BenchObject>): DataSets {
  const full = new DataSetBuilder();
  const half = new DataSetBuilder();
  for (const object of objects) {
    const file = join(root, 'full', object.path);
    writePieces(file, object.pieces());
    full.add(object);
    if (!object.isInHalf) continue;
    const link = join(root, 'half', object.path);
    mkdirSync(dirname(link), { recursive: true });
    linkSync(file, link);
    half.add(object);
  }
  return { full: full.set, half: half.set };
}

function writePieces(file: string, pieces: Iterable<Buffer>): void {
  mkdirSync(dirname(file), { recursive: true });
  const descriptor = openSync(file, 'w');
  try {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; ) at += writeSync(descriptor, piece, at);
    }
  } finally {
    closeSync(descriptor);
  }
}
