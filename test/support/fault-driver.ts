/**
 * A driver whose calls go wrong as a script says: the nth call of an operation on a key fails, waits for a gate, gives
 * other bytes or another version. A test ends by asserting that every line of its script was needed.
 */
import { type ErrorKind, type ErrorScope, StorageError } from '../../src/core/errors.ts';
import type {
  Body,
  CallContext,
  ListPage,
  ListQuery,
  MultipartFacet,
  ObjectInfo,
  ReadOptions,
  ReadResult,
  StorageDriver,
  WriteOptions,
  WriteResult,
} from '../../src/drivers/driver.ts';

export type FaultOperation =
  | 'list'
  | 'stat'
  | 'read'
  | 'write'
  | 'upload'
  | 'begin'
  | 'part'
  | 'complete'
  | 'abort'
  | 'remove'
  | 'flush';

export interface Call {
  readonly operation: FaultOperation;
  /** The listing's prefix for `list` (one call for each page), empty for `flush`. */
  readonly key: string;
  readonly signal: AbortSignal;
}

/** What happens to one call. */
export interface Effect {
  /** Before the inner driver hears of the call; a rejection is the call's answer. */
  before?(call: Call): Promise<void> | void;
  /** After the inner driver did what was asked; a rejection is an answer that was lost on its way. */
  after?(call: Call): Promise<void> | void;
  /** May change the bytes that were read and what is said about them. */
  onRead?(into: Uint8Array, result: ReadResult): ReadResult;
  /** What the inner driver is given instead of the body. */
  onBody?(body: Body): Body;
  /** What is listed instead of the page. */
  onPage?(page: ListPage): ListPage;
}

export interface Fault {
  readonly on: FaultOperation;
  /** Any key where absent. */
  readonly key?: string;
  /** The first call that is meant, among those of this operation on a fitting key; from 1, which is the default. */
  readonly nth?: number;
  /** For how many calls in a row; default 1. `always`: for all that come, and at least one must come. */
  readonly times?: number | 'always';
  readonly does: Effect;
}

export interface RecordedCall extends Call {
  readonly isFresh: boolean;
  readonly offset: number;
}

interface Line {
  readonly fault: Fault;
  seen: number;
  used: number;
}

export class FaultDriver implements StorageDriver {
  readonly kind: string;
  readonly name: string;
  readonly facts: StorageDriver['facts'];
  readonly multipart?: MultipartFacet;
  readonly streamUpload?: NonNullable<StorageDriver['streamUpload']>;
  /** Every call in the order they began. */
  readonly calls: RecordedCall[] = [];
  /** Every listing that was begun. */
  readonly listings: ListQuery[] = [];
  /** Calls made on it are neither recorded nor touched. */
  readonly inner: StorageDriver;
  readonly #lines: readonly Line[];

  constructor(inner: StorageDriver, script: readonly Fault[] = []) {
    this.inner = inner;
    this.#lines = script.map((fault) => ({ fault, seen: 0, used: 0 }));
    this.kind = inner.kind;
    this.name = inner.name;
    this.facts = inner.facts;
    const { multipart, streamUpload } = inner;
    if (multipart) this.multipart = this.#multipart(multipart);
    if (streamUpload) {
      this.streamUpload = {
        upload: (ctx, key, body, options) =>
          this.#withBody(ctx, 'upload', key, body, (sent) => streamUpload.upload(ctx, key, sent, options)),
      };
    }
  }

  /** Fails with the lines of the script that never came to pass. */
  assertUsedUp(): void {
    const left = this.#lines.filter(
      ({ fault, used }) => used < (fault.times === 'always' ? 1 : (fault.times ?? 1)),
    );
    if (left.length === 0) return;
    const lines = left.map(({ fault, used, seen }) => {
      const what = `${fault.on} ${fault.key ?? '(any key)'}, call ${fault.nth ?? 1}, ${fault.times ?? 1} times`;
      return `  ${what}: happened ${used} times in ${seen} fitting calls`;
    });
    throw new Error(`The script of ${this.name} was not used up:\n${lines.join('\n')}`);
  }

  callsOf(operation: FaultOperation, key?: string): readonly RecordedCall[] {
    return this.calls.filter(
      (call) => call.operation === operation && (key === undefined || call.key === key),
    );
  }

  async *list(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    this.listings.push(query);
    const pages = this.inner.list(ctx, query)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { effects, call } = this.#meet(ctx, 'list', query.prefix);
        const step = await this.#around(effects, call, () => pages.next());
        if (step.done) return;
        yield effects.reduce((page, effect) => effect.onPage?.(page) ?? page, step.value);
      }
    } finally {
      await pages.return?.();
    }
  }

  stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    return this.#run(ctx, 'stat', key, () => this.inner.stat(ctx, key));
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    const { effects, call } = this.#meet(ctx, 'read', key, options);
    const result = await this.#around(effects, call, () => this.inner.read(ctx, key, into, options));
    return effects.reduce((answer, effect) => effect.onRead?.(into, answer) ?? answer, result);
  }

  write(ctx: CallContext, key: string, body: Body, options: WriteOptions): Promise<WriteResult> {
    return this.#withBody(ctx, 'write', key, body, (sent) => this.inner.write(ctx, key, sent, options));
  }

  remove(ctx: CallContext, key: string): Promise<void> {
    return this.#run(ctx, 'remove', key, () => this.inner.remove(ctx, key));
  }

  flush(ctx: CallContext): Promise<void> {
    return this.#run(ctx, 'flush', '', () => this.inner.flush(ctx));
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  #multipart(inner: MultipartFacet): MultipartFacet {
    return {
      partBytesMin: inner.partBytesMin,
      partBytesMax: inner.partBytesMax,
      partsMax: inner.partsMax,
      partChecksum: inner.partChecksum,
      begin: (ctx, key) => this.#run(ctx, 'begin', key, () => inner.begin(ctx, key)),
      putPart: (ctx, upload, part) =>
        this.#withBody(ctx, 'part', upload.key, part.body, (body) =>
          inner.putPart(ctx, upload, { ...part, body }),
        ),
      complete: (ctx, upload, parts, options) =>
        this.#run(ctx, 'complete', upload.key, () => inner.complete(ctx, upload, parts, options)),
      abort: (ctx, upload) => this.#run(ctx, 'abort', upload.key, () => inner.abort(ctx, upload)),
      listParts: (ctx, upload) => inner.listParts(ctx, upload),
      listUploads: (ctx, prefix, max) => inner.listUploads(ctx, prefix, max),
    };
  }

  #run<T>(ctx: CallContext, operation: FaultOperation, key: string, call: () => Promise<T>): Promise<T> {
    const met = this.#meet(ctx, operation, key);
    return this.#around(met.effects, met.call, call);
  }

  #withBody<T>(
    ctx: CallContext,
    operation: FaultOperation,
    key: string,
    body: Body,
    send: (body: Body) => Promise<T>,
  ): Promise<T> {
    const { effects, call } = this.#meet(ctx, operation, key);
    const sent = effects.reduce((given, effect) => effect.onBody?.(given) ?? given, body);
    return this.#around(effects, call, () => send(sent));
  }

  async #around<T>(effects: readonly Effect[], call: Call, inner: () => Promise<T>): Promise<T> {
    for (const effect of effects) await effect.before?.(call);
    const result = await inner();
    for (const effect of effects) await effect.after?.(call);
    return result;
  }

  #meet(
    ctx: CallContext,
    operation: FaultOperation,
    key: string,
    options: ReadOptions = {},
  ): { readonly effects: readonly Effect[]; readonly call: Call } {
    const call = { operation, key, signal: ctx.signal };
    this.calls.push({ ...call, isFresh: options.isFresh ?? false, offset: options.offset ?? 0 });
    const effects: Effect[] = [];
    for (const line of this.#lines) {
      const { fault } = line;
      if (fault.on !== operation || (fault.key !== undefined && fault.key !== key)) continue;
      line.seen += 1;
      const first = fault.nth ?? 1;
      const times = fault.times === 'always' ? Number.POSITIVE_INFINITY : (fault.times ?? 1);
      if (line.seen < first || line.seen >= first + times) continue;
      line.used += 1;
      effects.push(fault.does);
    }
    return { effects, call };
  }
}

interface FailOptions {
  readonly isTransient?: boolean;
  readonly scope?: ErrorScope;
}

function failure(call: Call, kind: ErrorKind, options: FailOptions): StorageError {
  return new StorageError(`Cannot ${call.operation} "${call.key}": scripted ${kind}`, {
    kind,
    backend: 'script',
    operation: call.operation,
    key: call.key,
    isTransient: options.isTransient ?? false,
    scope: options.scope ?? 'object',
  });
}

/** Refused before anything happened. */
export function fails(kind: ErrorKind, options: FailOptions = {}): Effect {
  return {
    before: (call) => {
      throw failure(call, kind, options);
    },
  };
}

/** Done, but the answer is lost. */
export function failsAfterwards(kind: ErrorKind, options: FailOptions = {}): Effect {
  return {
    after: (call) => {
      throw failure(call, kind, options);
    },
  };
}

/** One byte of what is read comes out wrong; `by` tells two wrong reads from each other. */
export function flipsByte(at: number, by = 0x01): Effect {
  return {
    onRead: (into, result) => {
      into[at] = (into[at] ?? 0) ^ by;
      return result;
    },
  };
}

/** One byte of what is written arrives wrong and is taken, as by a target that checks nothing. */
export function flipsBodyByte(at: number): Effect {
  return {
    onBody: (body) => ({
      sizeBytes: body.sizeBytes,
      async *open() {
        let offset = 0;
        for await (const piece of body.open()) {
          const copy = piece.slice();
          if (at >= offset && at < offset + copy.length) copy[at - offset] = (copy[at - offset] ?? 0) ^ 1;
          offset += copy.length;
          yield copy;
        }
      },
    }),
  };
}

/** The last bytes do not come, and the answer says so. */
export function readsShortBy(bytes: number): Effect {
  return {
    onRead: (into, result) => {
      into.fill(0xee, result.bytesRead - bytes);
      return { ...result, bytesRead: result.bytesRead - bytes };
    },
  };
}

export function answersVersion(version: string): Effect {
  return { onRead: (_into, result) => ({ ...result, version }) };
}

/** The world changes just before the call. */
export function first(change: () => void): Effect {
  return { before: change };
}

/** The world changes right after the call. */
export function afterwards(change: () => void): Effect {
  return { after: change };
}

/** Waits, deaf to the signal, until the test opens it. */
export class Gate {
  readonly #opened = Promise.withResolvers<void>();
  readonly #reached = Promise.withResolvers<void>();

  /** Settles when the first call has come to the gate. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  get effect(): Effect {
    return {
      before: () => {
        this.#reached.resolve();
        return this.#opened.promise;
      },
    };
  }

  open(): void {
    this.#opened.resolve();
  }
}

/** Never answers; ends with the signal's reason, as a driver must. */
export function hangs(onReached: () => void = () => undefined): Effect {
  return {
    before: ({ signal }) =>
      new Promise<void>((_, reject) => {
        if (signal.aborted) reject(signal.reason);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        onReached();
      }),
  };
}
