/**
 * Reads the few shapes of XML that S3 answers with, without building a tree: a page of 1,000 keys is about 300 kB and
 * listings are a large part of a pass that has nothing to copy. Input is bounded by the caller.
 */

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/**
 * Content of the first element with this name; undefined when there is none. To look into one element only, slice it
 * out before (which copies nothing): looking further than needed, element after element, takes quadratic time.
 */
export function textOf(xml: string, name: string): string | undefined {
  const open = xml.indexOf(`<${name}>`);
  if (open < 0) return undefined;
  const start = open + name.length + 2;
  const end = xml.indexOf(`</${name}>`, start);
  return end < 0 ? undefined : decodeEntities(xml.slice(start, end));
}

/** Calls back with the bounds of each element of this name, in order, until the answer is false. */
export function eachElement(
  xml: string,
  name: string,
  onElement: (from: number, to: number) => boolean,
): void {
  const open = `<${name}>`;
  const close = `</${name}>`;
  let at = xml.indexOf(open);
  while (at >= 0) {
    const start = at + open.length;
    const end = xml.indexOf(close, start);
    if (end < 0) throw new RangeError(`Element ${name} has no end`);
    if (!onElement(start, end)) return;
    at = xml.indexOf(open, end + close.length);
  }
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
