/** Every fault of the campaign: what it is called, where it can happen, and the script that makes it. */
import type { Fault, FaultRule } from '../../../bench/s3-server/faults/fault.ts';
import type { FuseRule } from '../../support/fuse.ts';
import type { Random } from '../random.ts';
import { type CaseObjects, LAST_PART_BYTES, MIB } from './objects.ts';

interface Drawn {
  readonly random: Random;
  readonly objects: CaseObjects;
  /** How often bytes may go wrong in the same way without two equal reads being wrong. */
  readonly flipsMax: number;
}

export interface Menu<Rule> {
  readonly name: string;
  readonly needsLarge?: boolean;
  /** The bytes of a read go wrong without any sign of it: without a digest nobody can tell. */
  readonly isSilent?: boolean;
  /** The source's object is another one afterwards. */
  readonly replaces?: boolean;
  /** Wants a target that was copied to before, and changes since. */
  readonly needsCopy?: boolean;
  readonly make: (drawn: Drawn) => readonly Rule[];
}

const UNAVAILABLE = { kind: 'status', status: 503, code: 'SlowDown' } as const;
const BROKEN = { kind: 'status', status: 500, code: 'InternalError' } as const;

function on(
  bucket: string,
  operation: NonNullable<FaultRule['operation']>,
  more: Omit<FaultRule, 'bucket' | 'operation'>,
): readonly FaultRule[] {
  return [{ bucket, operation, ...more }];
}

/** A key with bytes, and how many of them one request carries. */
function someKey({ random, objects }: Drawn): { readonly key: string; readonly bytes: number } {
  const key = objects.large !== undefined && random.chance(0.3) ? objects.large : random.pick(objects.small);
  return { key, bytes: Math.min(objects.contents.get(key)?.length ?? 0, MIB) };
}

function flip(drawn: Drawn, kind: 'flip-response' | 'flip-request', bytes: number): Fault {
  return { kind, offset: drawn.random.integer(0, bytes - 1), bit: drawn.random.integer(0, 7) };
}

/** No digest in a tag's path says what its link must be, so it is as any object without one. */
function flipsOf({ random, flipsMax }: Drawn, key: string): number {
  const times = random.integer(1, flipsMax);
  return key.endsWith('/current/link') ? 1 : times;
}

function get(name: string, fault: (drawn: Drawn, bytes: number) => Fault, timesMax = 3): Menu<FaultRule> {
  return {
    name,
    make: (drawn) => {
      const { key, bytes } = someKey(drawn);
      return on('source', 'GetObject', {
        key,
        times: drawn.random.integer(1, timesMax),
        fault: fault(drawn, bytes),
      });
    },
  };
}

function range(how: 'told' | 'silent'): Menu<FaultRule> {
  return {
    name: `get: another range, ${how}`,
    needsLarge: true,
    isSilent: how === 'silent',
    make: ({ random, objects }) => {
      const shiftBytes = random.integer(1, 4 * MIB);
      const fault = { kind: 'wrong-range', shiftBytes, how } as const;
      return on('source', 'GetObject', { key: objects.large ?? '', skip: random.integer(0, 1), fault });
    },
  };
}

/** So many requests in a row, whichever they are. */
function storm(bucket: string, operation: 'GetObject' | 'PutObject'): Menu<FaultRule> {
  return {
    name: `${operation}: a storm of 503`,
    make: ({ random, objects }) => {
      // Not what the copier asks before it begins: there it has little patience, and rightly.
      const [keyPrefix = ''] = objects.small[0]?.split('/') ?? [];
      const some = { skip: random.integer(0, 5), times: random.integer(3, 9) };
      return on(bucket, operation, { keyPrefix, ...some, fault: UNAVAILABLE });
    },
  };
}

function listing(bucket: string, name: string, fault: Fault): Menu<FaultRule> {
  return {
    name: `list ${bucket}: ${name}`,
    make: ({ random }) =>
      on(bucket, 'ListObjectsV2', { skip: random.integer(0, 2), times: random.integer(1, 2), fault }),
  };
}

export const SOURCE_FAULTS: readonly Menu<FaultRule>[] = [
  {
    name: 'get: a flipped bit',
    isSilent: true,
    make: (drawn) => {
      const { key, bytes } = someKey(drawn);
      const times = flipsOf(drawn, key);
      return on('source', 'GetObject', { key, times, fault: flip(drawn, 'flip-response', bytes) });
    },
  },
  get('get: cut short', ({ random }, bytes) => ({
    kind: 'cut-response',
    afterBytes: random.integer(0, bytes - 1),
  })),
  get('get: reset', () => ({ kind: 'reset' })),
  get('get: silence, then a reset', () => ({ kind: 'hang', ms: 200 }), 1),
  get('get: a lost reply', () => ({ kind: 'lost-reply' })),
  get('get: an error of the server', () => BROKEN),
  get('get: no such key, wrongly', () => ({ kind: 'status', status: 404, code: 'NoSuchKey' }), 1),
  get('get: delivered twice', () => ({ kind: 'duplicate-response' }), 1),
  get('get: an error in a 200', () => ({ kind: 'error-in-200', code: 'InternalError' }), 2),
  range('told'),
  range('silent'),
  storm('source', 'GetObject'),
  {
    name: 'get: replaced just before',
    replaces: true,
    make: ({ random, objects }) => {
      const blobs = objects.small.filter((path) => !path.includes('/repositories/'));
      if (objects.large === undefined || random.chance(0.5)) {
        return on('source', 'GetObject', { key: random.pick(blobs), fault: { kind: 'replace-object' } });
      }
      const skip = random.integer(0, 2);
      return on('source', 'GetObject', { key: objects.large, skip, fault: { kind: 'replace-object' } });
    },
  },
  listing('source', 'a storm of 503', UNAVAILABLE),
  listing('source', 'reset', { kind: 'reset' }),
  listing('source', 'cut short', { kind: 'cut-response', afterBytes: 150 }),
  listing('source', 'delivered twice', { kind: 'duplicate-response' }),
  {
    name: 'list source: out of order',
    make: () => on('source', 'ListObjectsV2', { fault: { kind: 'unordered-listing' } }),
  },
];

function put(name: string, fault: (drawn: Drawn, bytes: number) => Fault, timesMax = 3): Menu<FaultRule> {
  return {
    name: `put: ${name}`,
    make: (drawn) => {
      const key = drawn.random.pick(drawn.objects.small);
      const bytes = drawn.objects.contents.get(key)?.length ?? 0;
      return on('target', 'PutObject', {
        key,
        times: drawn.random.integer(1, timesMax),
        fault: fault(drawn, bytes),
      });
    },
  };
}

/** Of the one large object's upload. */
function upload(
  operation: 'CreateMultipartUpload' | 'UploadPart' | 'CompleteMultipartUpload',
  name: string,
  fault: (drawn: Drawn) => Fault,
  more: { readonly timesMax?: number } = {},
): Menu<FaultRule> {
  const partsToSkip = operation === 'UploadPart' ? 2 : 0;
  return {
    name: `${operation}: ${name}`,
    needsLarge: true,
    make: (drawn) =>
      on('target', operation, {
        key: drawn.objects.large ?? '',
        skip: drawn.random.integer(0, partsToSkip),
        times: drawn.random.integer(1, more.timesMax ?? 2),
        fault: fault(drawn),
      }),
  };
}

const ERROR_IN_200 = { kind: 'error-in-200', code: 'InternalError' } as const;

export const TARGET_FAULTS: readonly Menu<FaultRule>[] = [
  put('a flipped bit', (drawn, bytes) => flip(drawn, 'flip-request', bytes)),
  put('cut short', ({ random }, bytes) => ({ kind: 'cut-request', afterBytes: random.integer(1, bytes) })),
  put('reset', () => ({ kind: 'reset' })),
  put('silence, then a reset', () => ({ kind: 'hang', ms: 200 }), 1),
  put('a lost reply', () => ({ kind: 'lost-reply' })),
  put('done twice', () => ({ kind: 'duplicate-request' }), 1),
  put('answered twice', () => ({ kind: 'duplicate-response' }), 1),
  put('an error of the server, behind the body', () => ({ ...BROKEN, when: 'body' })),
  put('a refusal, before the body', () => UNAVAILABLE),
  storm('target', 'PutObject'),
  upload('UploadPart', 'a flipped bit', (drawn) => flip(drawn, 'flip-request', LAST_PART_BYTES)),
  upload('UploadPart', 'cut short', ({ random }) => ({
    kind: 'cut-request',
    afterBytes: random.integer(1, LAST_PART_BYTES),
  })),
  upload('UploadPart', 'a lost reply', () => ({ kind: 'lost-reply' })),
  upload('UploadPart', 'done twice', () => ({ kind: 'duplicate-request' }), { timesMax: 1 }),
  upload('UploadPart', 'answered twice', () => ({ kind: 'duplicate-response' }), { timesMax: 1 }),
  upload('UploadPart', 'a storm of 503', () => UNAVAILABLE),
  upload('CompleteMultipartUpload', 'a lost reply', () => ({ kind: 'lost-reply' })),
  upload('CompleteMultipartUpload', 'an error in a 200', () => ERROR_IN_200),
  upload('CompleteMultipartUpload', 'an error of the server', () => ({ ...BROKEN, when: 'body' })),
  upload('CompleteMultipartUpload', 'a flipped bit', (drawn) => flip(drawn, 'flip-request', 200), {
    timesMax: 1,
  }),
  upload('CompleteMultipartUpload', 'done twice', () => ({ kind: 'duplicate-request' }), { timesMax: 1 }),
  upload('CompleteMultipartUpload', 'answered twice', () => ({ kind: 'duplicate-response' }), {
    timesMax: 1,
  }),
  upload('CompleteMultipartUpload', 'reset', () => ({ kind: 'reset' })),
  upload('CreateMultipartUpload', 'a lost reply', () => ({ kind: 'lost-reply' })),
  upload('CreateMultipartUpload', 'done twice', () => ({ kind: 'duplicate-request' }), {
    timesMax: 1,
  }),
  upload('CreateMultipartUpload', 'an error of the server', () => BROKEN),
  listing('target', 'a storm of 503', UNAVAILABLE),
  listing('target', 'reset', { kind: 'reset' }),
  {
    name: 'list target: behind the times',
    needsCopy: true,
    make: () =>
      on('target', 'ListObjectsV2', { fault: { kind: 'stale-listing', hideWrittenWithinMs: 3_600_000 } }),
  },
  {
    name: 'list target: out of order',
    needsCopy: true,
    make: () => on('target', 'ListObjectsV2', { fault: { kind: 'unordered-listing' } }),
  },
];

/** Some errors are the same file server's, whichever call they meet. */
const PASSING = ['EIO', 'ESTALE'] as const;

/** A name at the end of a path, as the regular expression that the file system wants. */
function endOf(path: string): string {
  return `${path.replaceAll(/[.+^$(){}|[\]\\]/g, '\\$&')}$`;
}

export const FUSE_SOURCE_FAULTS: readonly Menu<FuseRule>[] = [
  {
    name: 'read: a flipped bit',
    isSilent: true,
    make: (drawn) => {
      const { key } = someKey(drawn);
      const bytes = drawn.objects.contents.get(key)?.length ?? 0;
      const flipAt = drawn.random.integer(0, bytes - 1);
      return [{ op: 'read', match: endOf(key), flipAt, times: flipsOf(drawn, key) }];
    },
  },
  ...(['read', 'open', 'getattr'] as const).map((op) => ({
    name: `${op}: an error that passes`,
    make: (drawn: Drawn) => {
      const { key } = someKey(drawn);
      const times = drawn.random.integer(1, op === 'getattr' ? 2 : 4);
      return [{ op, match: endOf(key), errno: drawn.random.pick(PASSING), times }];
    },
  })),
  {
    name: 'read: an error that stays',
    make: (drawn) => [{ op: 'read', match: endOf(someKey(drawn).key), errno: drawn.random.pick(PASSING) }],
  },
  {
    name: 'readdir: an error that passes',
    make: ({ random }) => [
      { op: 'readdir', errno: random.pick(PASSING), skip: random.integer(0, 3), times: 1 },
    ],
  },
  {
    name: 'read: slow',
    make: (drawn) => [{ op: 'read', match: endOf(someKey(drawn).key), delayMs: 300, times: 1 }],
  },
];

export const FUSE_TARGET_FAULTS: readonly Menu<FuseRule>[] = [
  ...(['write', 'create', 'rename', 'fsync', 'mkdir'] as const).map((op) => ({
    name: `${op}: an error that passes`,
    make: ({ random }: Drawn) => [
      { op, errno: random.pick(PASSING), skip: random.integer(0, 3), times: random.integer(1, 2) },
    ],
  })),
  {
    name: 'open: an error that passes',
    needsLarge: true,
    make: ({ random }) => [{ op: 'open', match: '/blobferry-', errno: random.pick(PASSING), times: 1 }],
  },
  {
    name: 'write: the disk is full',
    make: ({ random }) => [{ op: 'write', errno: 'ENOSPC', afterBytes: random.integer(100, 30_000) }],
  },
  {
    name: 'create: the disk is full',
    make: ({ random }) => [{ op: ['create', 'mkdir'], errno: 'ENOSPC', skip: random.integer(0, 9) }],
  },
  {
    name: 'write: an error that stays',
    make: ({ random }) => [{ op: 'write', errno: 'EIO', skip: random.integer(0, 9) }],
  },
  {
    name: 'fsync: slow',
    make: ({ random }) => [{ op: 'fsync', delayMs: 300, skip: random.integer(0, 3), times: 1 }],
  },
];
