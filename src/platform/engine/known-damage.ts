/** Damage of the source that was let be, with what each object should have been. */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { CopySummary } from '../../core/job.ts';
import { DigestIndex } from '../../layout/digests/digest-index.ts';
import { RowsAlong } from '../../layout/digests/rows-along.ts';
import { distributionLayout } from '../../layout/distribution.ts';
import { blobIdIn } from '../../layout/msr.ts';
import type { DigestFile, KnownDamage } from '../engine-port.ts';

/** @param digests what blobs with ids must hash to. */
export async function knownDamage(
  { exceptions }: Pick<CopySummary, 'exceptions'>,
  digests: DigestFile | undefined,
): Promise<readonly KnownDamage[]> {
  const damaged = exceptions
    .filter(({ state }) => state === 'damaged')
    .toSorted((one, other) => compareUtf8(one.path, other.path));
  const index = digests === undefined ? undefined : await DigestIndex.open(digests);
  try {
    const rows = index && new RowsAlong(index);
    const all: KnownDamage[] = [];
    for (const { path, error } of damaged) {
      const byId = blobIdIn(path) === undefined ? undefined : await rows?.find(path);
      const digest = byId?.sha256 === undefined ? digestIn(path) : `sha256:${byId.sha256}`;
      all.push({ path, ...(digest === undefined ? {} : { digest }), why: error.message });
    }
    return all;
  } finally {
    await index?.close();
  }
}

/** Of a blob, or of a link to one: without either of them it cannot be pulled. */
function digestIn(path: string): string | undefined {
  const { contentDigest, linkDigest } = distributionLayout.classify(path);
  const digest = contentDigest ?? linkDigest;
  return digest && `${digest.algorithm}:${digest.hex}`;
}
