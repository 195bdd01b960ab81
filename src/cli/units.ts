/** Sizes, rates and times as people write and read them. */

const UNITS: readonly string[] = ['', 'K', 'M', 'G', 'T', 'P'];
const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgtp])?(i?b)?$/i;

/**
 * Reads `192MiB`, `8M`, `1.5g`, `500MB`, `4096`. Letters alone and `…iB` are powers of 1024, `…B` powers of 1000.
 * @returns bytes, a safe integer; undefined when the text is no size.
 */
export function parseBytes(text: string): number | undefined {
  const match = SIZE.exec(text.trim());
  if (!match) return undefined;
  const [, number = '', letter = '', suffix = ''] = match;
  const isDecimal = letter !== '' && suffix.toLowerCase() === 'b';
  if (letter === '' && suffix.toLowerCase() === 'ib') return undefined;
  const power = UNITS.indexOf(letter.toUpperCase());
  const bytes = Math.round(Number(number) * (isDecimal ? 1000 : 1024) ** power);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Reads `100MiB/s`, `100M`, `12.5MB/s`. @returns bytes per second, more than 0. */
export function parseByteRate(text: string): number | undefined {
  const bytes = parseBytes(text.trim().replace(/\s*\/\s*s(?:ec)?$/i, ''));
  return bytes === undefined || bytes === 0 ? undefined : bytes;
}

/** Reads `500`, `500/s`, `30/m`. @returns requests per second, more than 0. */
export function parseRequestRate(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(?:\s*\/\s*(s|m)(?:in)?)?$/i.exec(text.trim());
  if (!match) return undefined;
  const perSecond = Number(match[1]) / (match[2]?.toLowerCase() === 'm' ? 60 : 1);
  return perSecond > 0 && Number.isFinite(perSecond) ? perSecond : undefined;
}

/** `0 B`, `999 B`, `1.0 KiB`, `17 MiB`, `1.2 TiB`: two or three digits. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let power = 0;
  // 1023.95 KiB would be shown as 1024 KiB.
  while (value >= (power === 0 ? 1024 : 1023.5) && power < UNITS.length - 1) {
    value /= 1024;
    power += 1;
  }
  if (power === 0) return `${Math.round(value)} B`;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}iB`;
}

/** `1,234,567`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** `1 object`, `2 objects`, `1,000 objects`. */
export function formatObjects(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'object' : 'objects'}`;
}

const SECONDS_PER: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 };

/** Reads `90s`, `10m`, `10min`, `1.5h`, `0`. @returns milliseconds; a number needs its unit, unless it is 0. */
export function parseDuration(text: string): number | undefined {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?$/i.exec(text.trim()) ?? [];
  if (number === '' || (unit === '' && Number(number) !== 0)) return undefined;
  return Math.round(Number(number) * (SECONDS_PER[unit.toLowerCase()] ?? 0) * 1000);
}

/** `4 ms`, `1.4 s`, `12 s`, `3 min 04 s`, `2 h 05 min`, `3 d 04 h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${twoDigits(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${twoDigits(hours % 24)} h`;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0');
}

/** `2026-11-23 06:00:01 UTC`. */
export function formatTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `12 MiB/s`. */
export function formatByteRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}
