/** An engine that says what a test wants, for steps around it. */
import type { CopySummary } from '../../../src/core/job.ts';
import type {
  EnginePort,
  KnownDamage,
  PassReport,
  PassRequest,
  VerifyReport,
  VerifyRequest,
  WindowPrediction,
  WrittenReport,
  WrittenRequest,
} from '../../../src/platform/engine-port.ts';

const NONE = { count: 0, first: [] };
const TIMES = { beganMs: 1, endedMs: 2 };
const ERROR = { name: 'IntegrityError', message: 'it hashes to something else' } as const;
const LISTED = { pages: 1, seconds: 0 };

function summaryOf([blobs, tags]: readonly [number, number]): CopySummary {
  const none = { copied: 0, skipped: 0 };
  const blob = blobs === 0 ? none : { copied: 1, skipped: blobs - 1 };
  const objectsByClass = { blob, link: none, tag: { copied: tags, skipped: 0 }, other: none };
  return { objectsByClass } as unknown as CopySummary;
}

export class FakeEngine implements EnginePort {
  /** `live`, `frozen`, `written`, `verify` in their order. */
  readonly calls: string[] = [];
  readonly digests: (string | undefined)[] = [];
  /** Objects that each pass finds changed, then none. */
  changed: number[] = [];
  window: Pick<WindowPrediction, 'totalMs' | 'text'> = { totalMs: 60_000, text: 'about a minute' };
  /** Called inside a frozen pass: it lasts until this settles, or until its epoch broke. */
  inFrozen: () => Promise<void> = async () => undefined;
  /** Blobs of the backup that the source of each live pass, of the final one, and then source and target together lack. */
  lacking: { readonly live: readonly number[]; readonly final: number; readonly verify: number } | undefined;
  /** Blobs and tags that each pass counts in the source, one after the other. */
  counts: (readonly [number, number])[] = [];
  /** Paths that no pass settles. */
  unsettled: readonly string[] = [];
  /** What a frozen pass leaves out. */
  damage: readonly KnownDamage[] = [];
  /** Logical paths that a frozen call was told to let be. */
  readonly known: (readonly string[])[] = [];
  bad: { readonly call: string; readonly why: string } | undefined;

  async runPass(_: unknown, request: PassRequest): Promise<PassReport> {
    this.calls.push(request.kind);
    this.digests.push(request.digests);
    const counts = this.counts.shift();
    const passes = this.calls.filter((call) => call === 'live').length;
    const lacking = request.kind === 'frozen' ? this.lacking?.final : this.lacking?.live[passes - 1];
    const objectsChanged = this.changed.shift() ?? 0;
    const end = request.kind === 'frozen' ? await this.#frozen(request.epoch.broke) : 'done';
    return {
      pass: '0123456789ab',
      kind: request.kind,
      ...TIMES,
      end,
      ...this.#judged(request.kind, end === 'done'),
      shards: 1,
      objectsListed: 10_000,
      objectsChanged,
      bytesChanged: objectsChanged,
      objectsDeleted: 0,
      digestsPending: NONE,
      digestsLacking: { count: lacking ?? 0, first: ['some-id'] },
      exceptions: this.unsettled.map((path) => ({ state: 'unsettled', path, error: ERROR })),
      damage: request.kind === 'frozen' && (request.damageMax ?? 0) > 0 ? this.damage : [],
      times: {
        seconds: 1,
        threads: 1,
        listings: { source: LISTED, target: LISTED },
        objectsCopied: 0,
        bytesCopied: 0,
      },
      ...(counts === undefined ? {} : { summary: summaryOf(counts) }),
    };
  }

  async verifyWritten(_?: unknown, request: WrittenRequest = {}): Promise<WrittenReport> {
    this.calls.push('written');
    if (request.known) this.known.push(request.known);
    const judged = this.#judged('written', true);
    const counts = { objectsChecked: 1, bytesRead: 1, wrong: NONE, unsettled: NONE, digestsPending: NONE };
    return { end: 'done', ...TIMES, ...judged, ...counts };
  }

  async verifyAll(_: unknown, { epoch, known = [] }: VerifyRequest): Promise<VerifyReport> {
    this.calls.push('verify');
    this.known.push(known);
    const judged = this.#judged('verify', true);
    const holes = { count: this.lacking?.verify ?? 0, first: ['some-id'] };
    const rows = this.lacking && { rows: 9, lacking: holes, lackingInSource: holes };
    const about = { epoch: epoch.id, ...TIMES, extraBlobs: 0, knownMissing: known.length };
    return { end: 'done', ...about, ...judged, ...(rows ? { rows } : {}) };
  }

  predictWindow(): WindowPrediction {
    const parts = { listingMs: 0, copyingMs: 0, comparingMs: 0, readingMs: 0, elsewhereMs: 0 };
    return { ...this.window, parts, delta: { objects: 0, bytes: 0 }, basis: 'delta' };
  }

  lookAtSource(): never {
    throw new Error('not asked for');
  }

  lookAtTarget(): never {
    throw new Error('not asked for');
  }

  survey(): never {
    throw new Error('not asked for');
  }

  async close(): Promise<void> {
    this.calls.push('close');
  }

  #judged(call: string, isGood: boolean): { readonly isGood: boolean; readonly why?: string } {
    if (this.bad?.call === call) return { isGood: false, why: this.bad.why };
    return { isGood };
  }

  async #frozen(broke: AbortSignal): Promise<'done' | 'epoch-broke'> {
    const { promise, resolve } = Promise.withResolvers<'epoch-broke'>();
    broke.addEventListener('abort', () => resolve('epoch-broke'), { once: true });
    return await Promise.race([this.inFrozen().then(() => 'done' as const), promise]);
  }
}
