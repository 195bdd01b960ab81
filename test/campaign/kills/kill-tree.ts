/** The objects of a job that is killed again and again: small ones, 1 MiB, some in parts; and how they change meanwhile. */
import { seededBytes, sha256Hex } from '../../support/seeded.ts';
import type { TreeFile } from '../../support/tree.ts';
import {
  blobPath,
  layerLinkPath,
  linkText,
  otherPath,
  revisionLinkPath,
  tagPath,
} from '../../unit/copy/registry-names.ts';
import type { Random } from '../random.ts';

const MIB = 1024 ** 2;
const SMALL_BLOBS = 160;
const MEDIUM_BLOBS = 10;
const LARGE_BYTES = [11 * MIB + 1, 12 * MIB + 4_321, 15 * MIB, 16 * MIB + 99, 21 * MIB];
const LARGE_OTHERS = [11 * MIB + 7, 16 * MIB + 70_001];
const REPOSITORIES = 40;

export interface KillTree {
  readonly contents: ReadonlyMap<string, Buffer>;
  readonly blobs: readonly string[];
  /** Copied in parts. */
  readonly large: readonly string[];
  /** Copied in parts, and may change under their names in a registry too. */
  readonly others: readonly string[];
  readonly tags: readonly string[];
  readonly layerLinks: readonly string[];
}

export function makeKillTree(seed: string): KillTree {
  const contents = new Map<string, Buffer>();
  const small = Array.from({ length: SMALL_BLOBS }, (_, at) => 200 + ((at * 7_919) % 24_000));
  const sizes = [...small, ...Array.from({ length: MEDIUM_BLOBS }, () => MIB), ...LARGE_BYTES];
  const [large, tags, layerLinks, blobs]: [string[], string[], string[], string[]] = [[], [], [], []];
  for (const [at, size] of sizes.entries()) {
    const content = seededBytes(seed, `blob ${at}`, size);
    const repository = `team/app${at % REPOSITORIES}`;
    const link = Buffer.from(linkText(content));
    const [blob, layer] = [blobPath(content), layerLinkPath(repository, content)];
    contents.set(blob, content).set(layer, link);
    blobs.push(blob);
    layerLinks.push(layer);
    if (size > 2 * MIB) large.push(blob);
    if (at % 3 > 0) continue;
    const tag = tagPath(repository, `v${at}`);
    contents.set(revisionLinkPath(repository, content), link).set(tag, link);
    tags.push(tag);
  }
  const others = LARGE_OTHERS.map((size, at) => {
    const path = otherPath(`team/app${at}/attachment.bin`);
    contents.set(path, seededBytes(seed, path, size));
    return path;
  });
  return { contents, blobs, large, others, tags, layerLinks };
}

export interface Change {
  readonly kind: 'tag' | 'rewrite' | 'delete';
  readonly path: string;
  /** Absent: the object is deleted. */
  readonly content?: Buffer;
}

export interface ChangeInput {
  readonly random: Random;
  readonly tree: KillTree;
  readonly present: ReadonlyMap<string, TreeFile>;
  /** Objects that an upload is open for: what changes of them matters most. */
  readonly open: readonly string[];
  readonly isRaw: boolean;
  /** Default: any. */
  readonly kind?: Change['kind'];
}

/** What happens to the source between a kill and the next run. */
export function drawChange({ random, tree, present, open, isRaw, kind: wanted }: ChangeInput): Change {
  const there = (paths: readonly string[]): readonly string[] => paths.filter((path) => present.has(path));
  const preferred = (paths: readonly string[]): readonly string[] => {
    const uploading = paths.filter((path) => open.includes(path));
    return uploading.length > 0 ? uploading : paths;
  };
  const kind = wanted ?? random.pick(['tag', 'rewrite', 'delete'] as const);
  if (kind === 'rewrite') {
    // Under a name that promises its content nothing is ever rewritten; without a layout no name promises anything.
    const path = random.pick(preferred(there(isRaw ? [...tree.others, ...tree.large] : tree.others)));
    const content = seededBytes(`${random.fraction()}`, path, present.get(path)?.sizeBytes ?? 0);
    return { kind, path, content };
  }
  if (kind === 'delete') {
    const large = there(tree.large);
    const isLarge = large.length > 3 && (wanted !== undefined || random.chance(0.4));
    return { kind, path: random.pick(isLarge ? preferred(large) : there(tree.layerLinks)) };
  }
  const blob = random.pick(there(tree.blobs));
  return {
    kind,
    path: random.pick(there(tree.tags)),
    content: Buffer.from(`sha256:${present.get(blob)?.sha256}`),
  };
}

export function fileOf(content: Uint8Array): TreeFile {
  return { sizeBytes: content.length, sha256: sha256Hex(content) };
}
