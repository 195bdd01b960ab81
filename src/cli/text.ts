/** Small helpers for text that people read. */
import { formatCount } from './units.ts';

const NAMES_SHOWN = 20;

/** Two columns, the first as wide as its longest cell; further columns follow as they are. */
export function columns(rows: readonly (readonly [string, string])[], indent: string): readonly string[] {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${indent}${name.padEnd(width)}  ${text}`.trimEnd());
}

/** Numbers right-aligned before their words. */
export function counted(rows: readonly (readonly [number, string])[], indent: string): readonly string[] {
  const shown = rows
    .filter(([count]) => count > 0)
    .map(([count, text]) => [formatCount(count), text] as const);
  const width = Math.max(0, ...shown.map(([count]) => count.length));
  return shown.map(([count, text]) => `${indent}${count.padStart(width)}  ${text}`);
}

export interface Named {
  readonly name: string;
  readonly detail?: string;
}

/** The first names of a list, each with its detail on a line of its own, and how many are not shown. */
export function someOf(named: readonly Named[], total: number, indent: string): readonly string[] {
  const shown = named.slice(0, NAMES_SHOWN);
  const lines = shown.flatMap(({ name, detail }) => [
    indent + printable(name),
    ...(detail === undefined ? [] : [`${indent}  ${printable(detail)}`]),
  ]);
  const rest = total - shown.length;
  return rest > 0 ? [...lines, `${indent}… and ${formatCount(rest)} more`] : lines;
}

/** Keys are other people's text: control characters must not reach a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => encodeURIComponent(character));
}

/** `is` or `are`, `object` or `objects`: picks by count. */
export function plural(count: number, one: string, many: string): string {
  return count === 1 ? one : many;
}

/** An argument as a shell takes it. */
export function shellQuoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** The storages of a command as they were given, and the layout where it was not found out; to be typed again. */
export function storageFlags(
  { from, to }: { readonly from: string; readonly to: string },
  layout: string,
): string {
  const raw = layout === 'raw' ? ' --layout raw' : '';
  return `--from ${shellQuoted(from)} --to ${shellQuoted(to)}${raw}`;
}
