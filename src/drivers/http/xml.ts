/**
 * Reads the few shapes of XML that S3 and its like answer with, without building a tree: a page of 1,000 keys is about 300 kB and
 * listings are a large part of a pass that has nothing to copy. Input is bounded by the caller. What S3 never sends
 * (declarations, comments, attributes where they could hide an entry) is refused, not skipped: what is skipped may be
 * an object.
 */
import { isUtf8 } from 'node:buffer';

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const ENTITY = /&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);/g;

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

/** @throws RangeError: a byte that is no UTF-8 would become another character, and the name it is in another name. */
export function utf8Of(body: Buffer): string {
  if (!isUtf8(body)) throw new RangeError('the answer is not UTF-8');
  return body.toString('utf8');
}

/** @throws RangeError where the text is not one whole document with this root. @param what it should be. */
export function checkDocument(xml: string, root: string, what: string): void {
  const at = xml.indexOf('<', xml.startsWith('<?', blanksOf(xml)) ? xml.indexOf('?>') : 0);
  const isRoot = xml.startsWith(`<${root}`, at) && !isNameUnit(xml.charCodeAt(at + root.length + 1));
  if (at < 0 || !isRoot) throw new RangeError(`the answer is not ${what}`);
  // A body whose end is only the end of its connection may have been cut where an entry ends.
  if (!xml.trimEnd().endsWith(`</${root}>`)) throw new RangeError(`${what} is not whole`);
  if (xml.includes('<!')) throw new RangeError(`${what} has a declaration or a comment in it`);
}

function blanksOf(xml: string): number {
  return xml.length - xml.trimStart().length;
}

/** Calls back with the bounds of each element of this name, in order, until the answer is false. */
export function eachElement(
  xml: string,
  name: string,
  onElement: (from: number, to: number) => boolean,
): void {
  const open = `<${name}`;
  const close = `</${name}>`;
  let at = xml.indexOf(open);
  while (at >= 0) {
    const start = at + open.length + 1;
    if (xml.charCodeAt(start - 1) !== GREATER) {
      if (!isNameUnit(xml.charCodeAt(start - 1)))
        throw new RangeError(`Element ${name} has attributes or no content`);
      at = xml.indexOf(open, start);
      continue;
    }
    const end = xml.indexOf(close, start);
    if (end < 0) throw new RangeError(`Element ${name} has no end`);
    if (xml.slice(start, end).includes(`${open}>`))
      throw new RangeError(`Element ${name} has another one in it`);
    if (!onElement(start, end)) return;
    at = xml.indexOf(open, end + close.length);
  }
}

const GREATER = 62;

/** Does a name go on with it? NaN, behind the end of the text, is no part of a name. */
function isNameUnit(unit: number): boolean {
  return unit > 127 || /[\w.:-]/.test(String.fromCharCode(unit));
}

/**
 * As `textOf`, for what a copy relies on.
 * @throws RangeError where the element is there twice, or holds an entity that stands for nothing.
 */
export function onlyTextOf(xml: string, name: string): string | undefined {
  const open = `<${name}>`;
  const at = xml.indexOf(open);
  if (at < 0) return undefined;
  const start = at + open.length;
  const end = xml.indexOf(`</${name}>`, start);
  if (end < 0) return undefined;
  if (xml.indexOf(open, start) >= 0) throw new RangeError(`Element ${name} is there twice`);
  const text = xml.slice(start, end);
  if (text.includes('<')) throw new RangeError(`Element ${name} has others in it`);
  if (!text.includes('&')) return text;
  if (text.replace(ENTITY, '').includes('&'))
    throw new RangeError(`Element ${name} has an unknown entity in it`);
  return decodeEntities(text);
}

/** @throws RangeError where a page does not say whether it is the last one: half a listing looks like a whole one. */
export function isTruncated(xml: string): boolean {
  const said = onlyTextOf(xml, 'IsTruncated')?.trim().toLowerCase();
  if (said !== 'true' && said !== 'false') throw new RangeError('it does not say whether there is more');
  return said === 'true';
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
