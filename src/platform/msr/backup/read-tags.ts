/** Tags that a metadata backup names: some of many, chosen evenly without holding them all. */
import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { jsonOf } from '../../json-of.ts';
import { tarMembers } from './tar-members.ts';

interface BackupTag {
  /** `namespace/name` */
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

export interface TagSample {
  readonly tags: readonly BackupTag[];
  /** Of all tags. */
  readonly count: number;
  /** Rows that say no tag. */
  readonly unreadable: number;
}

/** As its rows were seen: `pk` is `namespace/name:tag`, `digest` that of the manifest. */
const ROW = z
  .object({
    name: z.string().min(1),
    repository: z.string().regex(/^[^/]+\/.+$/),
    digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  })
  .transform((row): BackupTag => ({ repository: row.repository, tag: row.name, digest: row.digest }));

const TAGS = /\/rethink\/tags\/\d+$/;
const ROW_BYTES_MAX = 256 * 1024;

/** @param most so many tags at most. @throws BackupError for an archive that is none. */
export async function readTags(
  archive: AsyncIterable<Uint8Array>,
  name: string,
  most: number,
  signal: AbortSignal,
): Promise<TagSample> {
  const tags: BackupTag[] = [];
  let count = 0;
  let unreadable = 0;
  for await (const members of tarMembers(
    archive,
    name,
    (path, size) => TAGS.test(path) && size <= ROW_BYTES_MAX,
  )) {
    signal.throwIfAborted();
    for (const { path, content } of members) {
      if (!TAGS.test(path)) continue;
      const row = ROW.safeParse(jsonOf(content));
      if (!row.success) {
        unreadable += 1;
        continue;
      }
      count += 1;
      // Each row so far has the same chance to be among those that are kept.
      const place = tags.length < most ? tags.length : randomInt(count);
      if (place < most) tags[place] = row.data;
    }
  }
  return { tags, count, unreadable };
}
