/** The objects of one case: a small registry, or files that mean nothing to anybody. */
import { seededBytes, sha256Hex } from '../../support/seeded.ts';
import {
  blobPath,
  layerLinkPath,
  linkText,
  revisionLinkPath,
  tagPath,
} from '../../unit/copy/registry-names.ts';
import type { Random } from '../random.ts';

export const MIB = 1024 ** 2;
/** The least that S3 takes for a part that is not the last. */
export const PART_BYTES = 5 * MIB;

/** No part is smaller than this. */
export const LAST_PART_BYTES = 70_000;

export interface CaseObjects {
  readonly contents: ReadonlyMap<string, Buffer>;
  /** Paths of objects with at least one byte that one request holds. */
  readonly small: readonly string[];
  /** The path of the one object that is copied in parts. */
  readonly large: string | undefined;
  /** An object whose content may change under its name, and another content for it. */
  readonly mutable: { readonly key: string; readonly other: Buffer };
}

/** Made once: what is in an object does not matter here, only that every part of it is different. */
const LARGE = new Map<number, Buffer>();

function largeContent(sizeBytes: number): Buffer {
  const made = LARGE.get(sizeBytes) ?? seededBytes('faults', `large ${sizeBytes}`, sizeBytes);
  LARGE.set(sizeBytes, made);
  return made;
}

export function makeObjects(random: Random, isRegistry: boolean, hasLarge: boolean): CaseObjects {
  const sizes = Array.from({ length: 8 }, () => random.pick([1, 71, 500, 4_096, 30_000, 65_537, 300_000]));
  const small = sizes.map((size, index) => seededBytes('faults', `small ${index}`, size + index));
  const large = hasLarge ? largeContent(2 * PART_BYTES + random.pick([LAST_PART_BYTES, 777_777])) : undefined;
  return isRegistry ? registry(small, large) : files(small, large);
}

function registry(small: readonly Buffer[], large: Buffer | undefined): CaseObjects {
  const contents = new Map<string, Buffer>();
  const blobs = large === undefined ? small : [...small, large];
  for (const [index, content] of blobs.entries()) {
    const repository = `team/app${index % 3}`;
    contents.set(blobPath(content), content);
    contents.set(layerLinkPath(repository, content), Buffer.from(linkText(content)));
    if (index % 3 !== 0) continue;
    contents.set(revisionLinkPath(repository, content), Buffer.from(linkText(content)));
    contents.set(tagPath(repository, `v${index}`), Buffer.from(linkText(content)));
  }
  const [, second = Buffer.alloc(0)] = blobs;
  return {
    contents,
    small: [...contents.keys()].filter((path) => path !== blobPathOf(large)),
    large: blobPathOf(large),
    mutable: { key: tagPath('team/app0', 'v0'), other: Buffer.from(linkText(second)) },
  };
}

function blobPathOf(content: Buffer | undefined): string | undefined {
  return content === undefined ? undefined : blobPath(content);
}

function files(small: readonly Buffer[], large: Buffer | undefined): CaseObjects {
  const contents = new Map<string, Buffer>();
  for (const [index, content] of small.entries()) {
    contents.set(
      `files/${index % 2 === 0 ? 'even' : 'odd'}/${sha256Hex(content).slice(0, 6)} ${index}`,
      content,
    );
  }
  const paths = [...contents.keys()];
  contents.set('files/empty', Buffer.alloc(0));
  if (large !== undefined) contents.set('files/large', large);
  return {
    contents,
    small: paths,
    large: large === undefined ? undefined : 'files/large',
    mutable: { key: paths[1] ?? '', other: Buffer.from('it has changed since') },
  };
}
