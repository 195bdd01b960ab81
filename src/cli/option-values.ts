/** Readers for option values; each throws what commander shows as a usage error naming the option. */
import { InvalidArgumentError } from 'commander';
import { parseByteRate, parseBytes, parseDuration, parseRequestRate } from './units.ts';

export function readInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw new InvalidArgumentError(`A whole number from ${min} to ${max} is expected.`);
  };
}

export function orAuto<T>(read: (text: string) => T): (text: string) => T | 'auto' {
  return (text) => (text === 'auto' ? 'auto' : read(text));
}

export function readSize(minBytes: number, maxBytes: number): (text: string) => number {
  return (text) => {
    const bytes = parseBytes(text);
    if (bytes === undefined)
      throw new InvalidArgumentError('A size such as 192MiB, 8M or 1.5GB is expected.');
    if (bytes >= minBytes && bytes <= maxBytes) return bytes;
    throw new InvalidArgumentError(`At least ${inMebibytes(minBytes)} and at most ${inMebibytes(maxBytes)}.`);
  };
}

function inMebibytes(bytes: number): string {
  return `${bytes / 1024 / 1024}MiB`;
}

export function readByteRate(text: string): number {
  const rate = parseByteRate(text);
  if (rate === undefined) throw new InvalidArgumentError('A rate such as 100MiB/s or 12.5MB/s is expected.');
  return rate;
}

export function readRequestRate(text: string): number {
  const rate = parseRequestRate(text);
  if (rate === undefined) throw new InvalidArgumentError('A rate such as 500/s or 6000/min is expected.');
  return rate;
}

export function readDuration(maxMs: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms === undefined) throw new InvalidArgumentError('A time such as 90s, 10m or 2h is expected.');
    if (ms <= maxMs) return ms;
    throw new InvalidArgumentError(`At most ${maxMs / 86_400_000}d.`);
  };
}

const ID_MAX = 2 ** 32 - 2;

export function readOwner(text: string): { readonly uid: number; readonly gid: number } {
  const match = /^(\d+):(\d+)$/.exec(text);
  const uid = Number(match?.[1]);
  const gid = Number(match?.[2]);
  if (uid <= ID_MAX && gid <= ID_MAX) return { uid, gid };
  throw new InvalidArgumentError('Two numbers are expected, UID:GID, such as 1000:1000.');
}

/** Permission bits in octal. Without reading for the owner the registry could not serve what was copied. */
export function readMode(text: string): number {
  const mode = /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if ((mode & 0o400) !== 0) return mode;
  throw new InvalidArgumentError('Three octal digits that let the owner read are expected, such as 644.');
}
