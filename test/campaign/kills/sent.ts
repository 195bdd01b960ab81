/** What was sent more than once, counted from the requests that the server carried out. */
import type { RequestRecord } from '../../../bench/s3-server/request-log.ts';
import type { TreeFile } from '../../support/tree.ts';

export interface SentAgain {
  /** Objects copied in this run that were in the target, right, when it began: must be none. */
  readonly visible: readonly string[];
  /** Objects of one request that an earlier run had sent or read already. */
  readonly objects: number;
  /** Parts that an earlier run had sent already. */
  readonly parts: number;
  readonly bytes: number;
}

/** Follows one job. What was changed in the source counts from anew. */
export class SentCounter {
  readonly #before = new Map<string, number>();
  readonly #isTargetS3: boolean;

  constructor(isTargetS3: boolean) {
    this.#isTargetS3 = isTargetS3;
  }

  /** The object has other bytes from now on. */
  changed(path: string): void {
    for (const name of this.#before.keys()) if (name.startsWith(`${path} `)) this.#before.delete(name);
  }

  /**
   * @param right the objects that were in the target with the source's bytes when the run began.
   * @param mayBeCompared of these a run may read both sides to see whether they are equal.
   */
  count(
    requests: readonly RequestRecord[],
    right: ReadonlyMap<string, TreeFile>,
    mayBeCompared: (path: string) => boolean,
  ): SentAgain {
    const moved = requests.filter((one) => this.#isMove(one));
    const visible = moved.filter(({ key }) => right.has(key) && (this.#isTargetS3 || !mayBeCompared(key)));
    const [again, now] = [new Map<string, RequestRecord>(), new Map<string, number>()];
    for (const one of moved) {
      // What is there is either not touched, or compared by reading it.
      if (right.has(one.key)) continue;
      const name = `${one.key} ${one.partNumber ?? ''}`;
      now.set(name, one.bodyBytes);
      if (this.#before.has(name)) again.set(name, one);
    }
    for (const [name, bytes] of now) this.#before.set(name, bytes);
    const records = [...again.values()];
    const parts = records.filter(({ partNumber }) => partNumber !== undefined).length;
    return {
      visible: [...new Set(visible.map(({ key }) => key))],
      objects: records.length - parts,
      parts,
      bytes: records.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
    };
  }

  /** Towards a bucket what it took; towards a folder what was read for it, in the source. */
  #isMove({ operation, bucket, key, status }: RequestRecord): boolean {
    if (!key.startsWith('docker/') || status >= 300) return false;
    if (!this.#isTargetS3) return operation === 'GetObject' && bucket === 'source';
    return bucket === 'target' && (operation === 'PutObject' || operation === 'UploadPart');
  }
}
