/** Pages of a container's listing (https://learn.microsoft.com/rest/api/storageservices/list-blobs). */
import type { ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import { checkDocument, decodeEntities, onlyTextOf, utf8Of } from '../http/xml.ts';

const MD5 = /^[0-9a-f]{32}$/;

export interface AzureListPage extends ListPage {
  /** Where the next page begins; undefined behind the last one, whatever number of names this one has. */
  readonly next?: string;
}

/** @throws StorageError of kind `corrupt` where the answer is no listing, or one that is not whole. */
export function azureListingOf(call: HttpCall, body: Buffer, tellsTier = false): AzureListPage {
  try {
    return pageOf(utf8Of(body), tellsTier);
  } catch (error) {
    if (error instanceof RangeError || error instanceof URIError) throw malformed(call, error.message);
    throw error;
  }
}

function pageOf(xml: string, tellsTier: boolean): AzureListPage {
  checkDocument(xml, 'EnumerationResults', 'the listing');
  const from = xml.indexOf('<Blobs>');
  const to = xml.lastIndexOf('</Blobs>');
  const isEmpty = xml.includes('<Blobs/>') || xml.includes('<Blobs />');
  if (!isEmpty && (from < 0 || to < from)) throw new RangeError('the listing has no names');
  const entries = isEmpty ? '' : xml.slice(from + '<Blobs>'.length, to);
  const objects: ObjectInfo[] = [];
  const prefixes: string[] = [];
  let at = 0;
  while (at < entries.length) {
    const entry = entryAt(entries, at);
    at = entry.end;
    if (entry.isPrefix) prefixes.push(nameIn(entry.xml));
    else if (!isFolder(entry.xml))
      objects.push({ ...objectOf(entry.xml), ...(tellsTier ? tierOf(entry.xml) : {}) });
  }
  // A page that does not say whether it is the last one may be cut.
  const rest = isEmpty ? xml : xml.slice(to);
  if (!/<NextMarker\s*\/>/.test(rest) && !rest.includes('</NextMarker>'))
    throw new RangeError('it does not say whether there is more');
  const next = onlyTextOf(rest, 'NextMarker') ?? '';
  return { objects, prefixes, ...(next === '' ? {} : { next }) };
}

interface Entry {
  readonly isPrefix: boolean;
  readonly xml: string;
  readonly end: number;
}

/** Nothing may stand between entries: what would be passed over could be an object. */
function entryAt(entries: string, at: number): Entry {
  for (const name of ['Blob', 'BlobPrefix']) {
    const open = `<${name}>`;
    if (!entries.startsWith(open, at)) continue;
    const close = `</${name}>`;
    const end = entries.indexOf(close, at);
    if (end < 0) break;
    const xml = entries.slice(at + open.length, end);
    return { isPrefix: name === 'BlobPrefix', xml, end: skipBlanks(entries, end + close.length) };
  }
  const blanks = skipBlanks(entries, at);
  if (blanks > at) return entryAt(entries, blanks);
  throw new RangeError('the listing has something in it that is neither a blob nor a prefix');
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) <= 32) at += 1;
  return at;
}

/** Names with characters that XML cannot hold come percent-encoded, and say so. */
function nameIn(xml: string): string {
  const [, encoded, text = ''] = /<Name(?: Encoded="(true|false)")?>([^<]*)<\/Name>/.exec(xml) ?? [];
  const name = encoded === 'true' ? decodeURIComponent(decodeEntities(text)) : decodeEntities(text);
  if (name === '') throw new RangeError('the listing has an entry without a name');
  return name;
}

/** Accounts with a hierarchical namespace list their folders among the blobs. */
function isFolder(xml: string): boolean {
  return xml.includes('<ResourceType>directory</ResourceType>');
}

function objectOf(xml: string): ObjectInfo {
  const length = onlyTextOf(xml, 'Content-Length') ?? '';
  const sizeBytes = Number(length);
  if (!/^\d+$/.test(length) || !Number.isSafeInteger(sizeBytes))
    throw new RangeError('the listing has a blob without a size');
  const isBlock = onlyTextOf(xml, 'BlobType') === 'BlockBlob';
  const md5 = isBlock ? md5OfBase64(onlyTextOf(xml, 'Content-MD5')) : undefined;
  const version = onlyTextOf(xml, 'Etag');
  return {
    key: nameIn(xml),
    sizeBytes,
    ...(md5 === undefined ? {} : { md5 }),
    ...(version ? { version: versionOf(version) } : {}),
  };
}

/** While it is being rehydrated a blob still has the tier Archive, and cannot be read. */
function tierOf(xml: string): Pick<ObjectInfo, 'tier' | 'archived'> {
  const tier = onlyTextOf(xml, 'AccessTier') ?? '';
  if (tier === '') return {};
  return tier === 'Archive' ? { tier, archived: 'yes' } : { tier };
}

/** Listings have ETags bare, headers have them in quotes. */
export function versionOf(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}

/**
 * Lower-case hex. What is stored need be no MD5 of the content: whoever writes a blob in blocks says what it is, and an
 * append blob keeps what it had before more was appended.
 */
export function md5OfBase64(text: string | undefined): string | undefined {
  if (!text) return undefined;
  const md5 = Buffer.from(text, 'base64').toString('hex');
  return MD5.test(md5) ? md5 : undefined;
}

/**
 * No request can say where a listing ends, and not every service begins at a name. All keys between two keys begin with
 * what both begin with, so that is the prefix asked for where both ends are known.
 */
export function narrowedPrefix({ prefix, after, upTo, delimiter }: ListQuery): string {
  // Groups are cut behind the prefix, so another prefix would be another grouping.
  if (delimiter !== undefined || after === undefined || upTo === undefined) return prefix;
  let length = 0;
  while (length < after.length && length < upTo.length && after[length] === upTo[length]) length += 1;
  // Half a character is no prefix.
  const last = after.charCodeAt(length - 1);
  if (last >= 0xd800 && last <= 0xdbff) length -= 1;
  const common = after.slice(0, length);
  return common.length > prefix.length && common.startsWith(prefix) ? common : prefix;
}
