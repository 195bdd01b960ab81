/** Just enough XML: a writer for answers and a strict reader for the few requests that have a body. */
import { toBinary } from '../http/uri.ts';
import { S3Error } from './s3-error.ts';

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
export const S3_NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

/** Complete with 10,000 parts and a checksum each is 2.5 MB. */
export const XML_BYTES_MAX = 4 * 1024 * 1024;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be escaped.
const SPECIAL = /[&<>"'\x00-\x1f\x7f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: see above.
const SPECIALS = /[&<>"'\x00-\x1f\x7f]/g;

/** XML 1.0 cannot hold most control characters at all; S3 writes references to them nevertheless. */
export function escapeXml(binary: string): string {
  if (!SPECIAL.test(binary)) return binary;
  return binary.replace(SPECIALS, (character) => {
    if (character === '&') return '&amp;';
    if (character === '<') return '&lt;';
    if (character === '>') return '&gt;';
    if (character === '"') return '&quot;';
    if (character === "'") return '&apos;';
    return `&#x${character.charCodeAt(0).toString(16)};`;
  });
}

/** @param content is escaped; undefined leaves the element out. */
export function element(name: string, content: string | number | boolean | undefined): string {
  return content === undefined ? '' : `<${name}>${escapeXml(String(content))}</${name}>`;
}

export interface XmlElement {
  /** Without namespace prefix. */
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** Text outside of children, as a binary string. */
  readonly text: string;
}

interface OpenElement {
  readonly name: string;
  readonly tag: string;
  readonly children: XmlElement[];
  text: string;
}

const DEPTH_MAX = 8;
const TOKEN =
  /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([A-Za-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|[^<]+/y;

/** @throws MalformedXML for anything that is not one well-formed element; document types are refused. */
export function parseXml(body: Buffer): XmlElement {
  const source = body.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const [whole, slash, tag, , selfClosing] = TOKEN.exec(source) ?? [];
    if (whole === undefined) throw malformedXml();
    if (tag === undefined) takeText(open.at(-1), whole);
    else if (!slash) {
      if (root || open.length >= DEPTH_MAX) throw malformedXml();
      open.push({ name: tag.slice(tag.indexOf(':') + 1), tag, children: [], text: '' });
    }
    if (tag !== undefined && (slash || selfClosing)) root = closeElement(open, tag);
  }
  if (!root || open.length > 0) throw malformedXml();
  return root;
}

/** Text, or a comment or processing instruction, which say nothing. */
function takeText(inside: OpenElement | undefined, whole: string): void {
  if (whole.startsWith('<')) return;
  if (inside) inside.text += unescapeXml(whole);
  else if (whole.trim() !== '') throw malformedXml();
}

/** @returns the element if it was the outermost one. */
function closeElement(open: OpenElement[], tag: string): XmlElement | undefined {
  const closed = open.pop();
  if (closed?.tag !== tag) throw malformedXml();
  const parent = open.at(-1);
  parent?.children.push(closed);
  return parent ? undefined : closed;
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{1,8}))?;?/g, (whole, decimal, hex, name) => {
    if (!whole.endsWith(';')) throw malformedXml();
    if (name !== undefined) {
      const character = NAMED[name];
      if (character === undefined) throw malformedXml();
      return character;
    }
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    if (Number.isNaN(code) || code > 0x10ffff) throw malformedXml();
    return toBinary(String.fromCodePoint(code));
  });
}

export function childText(parent: XmlElement, name: string): string | undefined {
  return parent.children.find((child) => child.name === name)?.text;
}

export function childrenOf(parent: XmlElement, name: string): readonly XmlElement[] {
  return parent.children.filter((child) => child.name === name);
}

export function malformedXml(what = ''): S3Error {
  const detail = what === '' ? '' : `: ${what}`;
  return new S3Error(
    'MalformedXML',
    `The XML you provided was not well-formed or did not validate against our published schema${detail}`,
  );
}
