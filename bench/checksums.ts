/**
 * What each checksum that a service may ask for costs here, over parts, 1 MiB objects and small ones:
 *
 *     node bench/checksums.ts [--rounds 5]
 *
 * All take turns, round by round. Printed is the median CPU time per GiB, and that as a multiple of sha256's; behind the table, what
 * two of them over the same part cost one after the other and in steps of 512 KiB, where the second finds the bytes in the
 * core's cache. docs/decisions/0011-checksums-by-measurement.md says what was made of it.
 */
import { createHash, hash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { crc32 } from 'node:zlib';
import { crc32c } from '../src/core/crc32c.ts';
import { crc64 } from '../src/core/crc64.ts';
import { table } from './report/text.ts';

const KIB = 1024;
const MIB = KIB ** 2;
const GIB = KIB ** 3;
/** More than a core's own cache holds, as parts come from the network. */
const SLABS = Array.from({ length: 8 }, (_, index) => Buffer.alloc(8 * MIB, index + 1));
const STEP_BYTES = 512 * KIB;
const SIZES = [8 * MIB, MIB, 64 * KIB, 4 * KIB, 180];
/** Small bodies take longer per byte. */
const bytesFor = (size: number): number => (size < KIB ? 4 * MIB : 64 * MIB);

const SUMS: Readonly<Record<string, (bytes: Buffer) => unknown>> = {
  sha256: (bytes) => hash('sha256', bytes, 'hex'),
  MD5: (bytes) => hash('md5', bytes, 'hex'),
  'CRC-32 (node:zlib)': (bytes) => crc32(bytes),
  'CRC-32C': (bytes) => crc32c(bytes),
  'CRC-64': (bytes) => crc64(bytes),
};

const PAIRS: typeof SUMS = {
  'sha256, then CRC-64': (bytes) => [createHash('sha256').update(bytes).digest('hex'), crc64(bytes)],
  'sha256 and CRC-64 by steps': (bytes) => {
    const digest = createHash('sha256');
    let sum = 0n;
    for (let at = 0; at < bytes.length; at += STEP_BYTES) {
      const step = bytes.subarray(at, at + STEP_BYTES);
      digest.update(step);
      sum = crc64(step, sum);
    }
    return [digest.digest('hex'), sum];
  },
  'sha256, then CRC-32C': (bytes) => [createHash('sha256').update(bytes).digest('hex'), crc32c(bytes)],
  'sha256 and CRC-32C by steps': (bytes) => {
    const digest = createHash('sha256');
    let sum = 0;
    for (let at = 0; at < bytes.length; at += STEP_BYTES) {
      const step = bytes.subarray(at, at + STEP_BYTES);
      digest.update(step);
      sum = crc32c(step, sum);
    }
    return [digest.digest('hex'), sum];
  },
};

function secondsPerGib(sum: (bytes: Buffer) => unknown, size: number): number {
  const bytes = bytesFor(size);
  const before = process.cpuUsage();
  for (let at = 0; at < bytes; at += size) {
    const slab = SLABS[Math.floor(at / (8 * MIB)) % SLABS.length] ?? Buffer.alloc(0);
    const from = at % (slab.length - size + 1);
    sum(slab.subarray(from, from + size));
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) / 1e6) * (GIB / bytes);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** Medians by name and size. */
function measure(sums: typeof SUMS, sizes: readonly number[], rounds: number): ReadonlyMap<string, number> {
  const found = new Map<string, number[]>();
  for (let round = 0; round <= rounds; round += 1) {
    for (const size of sizes) {
      for (const [name, sum] of Object.entries(sums)) {
        const seconds = secondsPerGib(sum, size);
        // The first round is where code is compiled.
        if (round > 0) found.set(`${name}/${size}`, [...(found.get(`${name}/${size}`) ?? []), seconds]);
      }
    }
  }
  return new Map([...found].map(([name, values]) => [name, median(values)]));
}

function textOf(sums: typeof SUMS, sizes: readonly number[], medians: ReadonlyMap<string, number>): string {
  const rows = Object.keys(sums).map((name) => [
    name,
    ...sizes.map((size) => {
      const seconds = medians.get(`${name}/${size}`) ?? Number.NaN;
      const unit = medians.get(`sha256/${size}`);
      return unit === undefined
        ? seconds.toFixed(2)
        : `${seconds.toFixed(2)} (${(seconds / unit).toFixed(2)})`;
    }),
  ]);
  const head = [
    'CPU s/GiB (× sha256)',
    ...sizes.map((size) => (size < KIB ? `${size} B` : `${size / KIB} KiB`)),
  ];
  return table([head, ...rows], `l${'r'.repeat(sizes.length)}`).join('\n');
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);
console.log(`${textOf(SUMS, SIZES, measure(SUMS, SIZES, rounds))}\n`);
const [part = 0] = SIZES;
console.log(textOf(PAIRS, [part], measure(PAIRS, [part], rounds)));
