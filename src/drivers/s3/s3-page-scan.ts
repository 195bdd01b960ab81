/**
 * Reads the entries of a listing straight from its bytes, as long as they look as every server writes them:
 *
 *     <Contents><Key>…</Key><LastModified>…</LastModified><ETag>"…"</ETag><Size>…</Size>…</Contents>
 *
 * one behind the other, in ASCII, ascending. A listing is most of what a pass does that has nothing to copy, and this
 * costs a third of looking for each element in the text. Whatever is not exactly so is not judged here: the whole page
 * is then left to the careful reader (s3-listing.ts), which says what is wrong with it. What is left out of account
 * here can hold no element that the careful reader would have seen.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { ObjectInfo } from '../driver.ts';
import { tierFields, USUAL_TIER } from './s3-tiers.ts';

export interface ScannedEntries {
  /** Strictly ascending by UTF-8 bytes. */
  readonly objects: readonly ObjectInfo[];
  /** All entries of the page, those behind `upTo` included. */
  readonly count: number;
  /** The first key behind `upTo`, if the page held any. */
  readonly behind: string | undefined;
}

export interface ScanOptions {
  /** Where the entries begin and end in the page. */
  readonly from: number;
  readonly to: number;
  /** Names come with percent signs, and plus signs for spaces. */
  readonly isEncoded: boolean;
  readonly upTo: string | undefined;
  /** Objects come with their storage class. */
  readonly tells?: boolean;
  /** A longer name is the careful reader's. */
  readonly nameBytesMax: number;
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const CONTENTS = bytesOf('<Contents>');
const CONTENTS_END = bytesOf('</Contents>');
const KEY = bytesOf('<Key>');
const KEY_END = bytesOf('</Key>');
const SIZE = bytesOf('<Size>');
const SIZE_END = bytesOf('</Size>');
const ETAG = bytesOf('<ETag>');
const ETAG_END = bytesOf('</ETag>');
const CLASS = bytesOf('<StorageClass>');
const CLASS_END = bytesOf('</StorageClass>');
const OWNER = bytesOf('<Owner>');
const OWNER_END = bytesOf('</Owner>');
/** How servers write the quotes of an ETag. */
const QUOTES = { bare: bytesOf('"'), named: bytesOf('&quot;'), numbered: bytesOf('&#34;') };

interface Plain {
  readonly open: Uint8Array;
  readonly close: Uint8Array;
}

const plain = (name: string): Plain => ({ open: bytesOf(`<${name}>`), close: bytesOf(`</${name}>`) });
/** Elements of text that nobody asks for. */
const UNUSED = ['LastModified', 'StorageClass', 'Type', 'ChecksumAlgorithm', 'ChecksumType'].map(plain);
const UNUSED_OF_OWNER = ['ID', 'DisplayName'].map(plain);

const LESS = 60;
const PERCENT = 37;
const PLUS = 43;
const AMPERSAND = 38;
const SPACE = 32;
const QUOTE = 34;

/** A sha256 in quotes and some more; a longer ETag is the careful reader's. */
const ETAG_BYTES_MAX = 128;
const MD5_DIGITS = 32;
const CLASS_BYTES_MAX = 64;
/** Fifteen digits are a safe integer whatever they are. */
const SIZE_DIGITS_MAX = 15;

/** Names being read: two, as each is held against the one before it. */
let scratch = { bytesMax: 0, even: Buffer.alloc(0), odd: Buffer.alloc(0) };
const etag = Buffer.allocUnsafeSlow(ETAG_BYTES_MAX + 2);

/** From the first entry's beginning to the last one's end; undefined without any. */
export function entriesIn(page: Buffer): { readonly from: number; readonly to: number } | undefined {
  const from = page.indexOf(CONTENTS);
  const end = page.lastIndexOf(CONTENTS_END);
  return from < 0 || end < from ? undefined : { from, to: end + CONTENTS_END.length };
}

/** @returns undefined where the page is the careful reader's. */
export function scanEntries(page: Buffer, options: ScanOptions): ScannedEntries | undefined {
  if (!isAscii(page)) return undefined;
  const { nameBytesMax } = options;
  if (scratch.bytesMax !== nameBytesMax) {
    const room = () => Buffer.allocUnsafeSlow(nameBytesMax + 1);
    scratch = { bytesMax: nameBytesMax, even: room(), odd: room() };
  }
  return new EntryScan(page, options).run(options.from, options.to);
}

class EntryScan {
  readonly #page: Buffer;
  readonly #isEncoded: boolean;
  readonly #upTo: Buffer | undefined;
  readonly #nameBytesMax: number;
  #name = scratch.even;
  #nameBytes = 0;
  #isNameAscii = true;
  #last = scratch.odd;
  #lastBytes = -1;
  #sizeBytes = 0;
  #etagBytes = 0;
  #isMd5 = false;
  readonly #tells: boolean;
  #class = USUAL_TIER;

  constructor(page: Buffer, { isEncoded, upTo, tells, nameBytesMax }: ScanOptions) {
    this.#tells = tells === true;
    this.#page = page;
    this.#isEncoded = isEncoded;
    this.#upTo = upTo === undefined ? undefined : Buffer.from(upTo);
    this.#nameBytesMax = nameBytesMax;
  }

  run(from: number, to: number): ScannedEntries | undefined {
    const page = this.#page;
    const objects: ObjectInfo[] = [];
    let count = 0;
    let behind: string | undefined;
    let at = from;
    for (let next = at; isAt(page, next, CONTENTS); next = behindBlanks(page, at)) {
      at = this.#entry(next + CONTENTS.length);
      if (at < 0 || !(this.#isNameAscii || isUtf8(this.#name.subarray(0, this.#nameBytes)))) return undefined;
      count += 1;
      if (this.#lastBytes >= 0 && compare(this.#name, this.#nameBytes, this.#last, this.#lastBytes) <= 0)
        return undefined;
      if (behind === undefined && !this.#isPast()) objects.push(this.#object());
      else behind ??= this.#key();
      const last = this.#last;
      this.#last = this.#name;
      this.#lastBytes = this.#nameBytes;
      this.#name = last;
    }
    return at === to ? { objects, count, behind } : undefined;
  }

  #isPast(): boolean {
    const upTo = this.#upTo;
    return upTo !== undefined && compare(this.#name, this.#nameBytes, upTo, upTo.length) > 0;
  }

  #key(): string {
    return this.#name.toString(this.#isNameAscii ? 'latin1' : 'utf8', 0, this.#nameBytes);
  }

  #object(): ObjectInfo {
    const key = this.#key();
    const version = etag.toString('latin1', 0, this.#etagBytes);
    const sizeBytes = this.#sizeBytes;
    if (this.#tells) {
      const md5 = this.#isMd5 ? { md5: version.slice(1, -1) } : {};
      return { key, sizeBytes, ...md5, version, ...tierFields(this.#class) };
    }
    if (!this.#isMd5) return { key, sizeBytes, version };
    return { key, sizeBytes, md5: version.slice(1, -1), version };
  }

  /** Reads one entry from behind its opening tag. @returns where it ends, -1 where it is not the usual one. */
  #entry(from: number): number {
    const page = this.#page;
    let at = behindBlanks(page, from);
    let hasKey = false;
    let hasSize = false;
    let hasETag = false;
    this.#class = USUAL_TIER;
    while (!isAt(page, at, CONTENTS_END)) {
      if (!hasKey && isAt(page, at, KEY)) {
        hasKey = true;
        at = this.#readKey(at + KEY.length);
      } else if (!hasSize && isAt(page, at, SIZE)) {
        hasSize = true;
        at = this.#size(at + SIZE.length);
      } else if (!hasETag && isAt(page, at, ETAG)) {
        hasETag = true;
        at = this.#etag(at + ETAG.length);
      } else if (this.#tells && isAt(page, at, CLASS)) {
        at = this.#readClass(at + CLASS.length);
      } else {
        at = isAt(page, at, OWNER) ? behindOwner(page, at + OWNER.length) : behindOneOf(page, at, UNUSED);
      }
      if (at < 0) return -1;
      at = behindBlanks(page, at);
    }
    return hasKey && hasSize && hasETag ? at + CONTENTS_END.length : -1;
  }

  #readKey(from: number): number {
    const page = this.#page;
    const name = this.#name;
    const isEncoded = this.#isEncoded;
    const end = Math.min(page.length, from + this.#nameBytesMax);
    let used = 0;
    let all = 0;
    let at = from;
    for (; at < end; at += 1) {
      let byte = page[at] ?? LESS;
      if (byte === LESS) break;
      if (byte === AMPERSAND) return -1;
      if (isEncoded && (byte === PERCENT || byte === PLUS)) {
        if (byte === PLUS) byte = SPACE;
        else {
          byte = hexValue(page[at + 1]) * 16 + hexValue(page[at + 2]);
          if (byte < 0) return -1;
          at += 2;
        }
      }
      name[used] = byte;
      all |= byte;
      used += 1;
    }
    this.#nameBytes = used;
    this.#isNameAscii = all < 128;
    return used > 0 && isAt(page, at, KEY_END) ? at + KEY_END.length : -1;
  }

  #readClass(from: number): number {
    const page = this.#page;
    let at = from;
    while (at - from < CLASS_BYTES_MAX && page[at] !== LESS && page[at] !== AMPERSAND) at += 1;
    this.#class = page.toString('latin1', from, at);
    return isAt(page, at, CLASS_END) ? at + CLASS_END.length : -1;
  }

  #size(from: number): number {
    const page = this.#page;
    let at = from;
    let size = 0;
    for (; at - from < SIZE_DIGITS_MAX; at += 1) {
      const digit = (page[at] ?? LESS) - 48;
      if (digit < 0 || digit > 9) break;
      size = size * 10 + digit;
    }
    this.#sizeBytes = size;
    return at > from && isAt(page, at, SIZE_END) ? at + SIZE_END.length : -1;
  }

  /** An ETag in quotes, however those are written. */
  #etag(from: number): number {
    const page = this.#page;
    let quote = QUOTES.bare;
    if (page[from] === AMPERSAND) quote = isAt(page, from, QUOTES.named) ? QUOTES.named : QUOTES.numbered;
    if (!isAt(page, from, quote)) return -1;
    let at = from + quote.length;
    let used = 1;
    let isHex = true;
    let hasUpperCase = false;
    for (; used <= ETAG_BYTES_MAX; at += 1) {
      const byte = page[at] ?? LESS;
      if (byte === LESS || byte === AMPERSAND || byte === QUOTE) break;
      if (byte >= 65 && byte <= 70) hasUpperCase = true;
      else if (byte < 48 || byte > 102 || (byte > 57 && byte < 97)) isHex = false;
      etag[used] = byte;
      used += 1;
    }
    const isMd5 = isHex && used === MD5_DIGITS + 1;
    // It would have to become lower case.
    if (isMd5 && hasUpperCase) return -1;
    etag[0] = QUOTE;
    etag[used] = QUOTE;
    this.#etagBytes = used + 1;
    this.#isMd5 = isMd5;
    if (!isAt(page, at, quote) || !isAt(page, at + quote.length, ETAG_END)) return -1;
    return at + quote.length + ETAG_END.length;
  }
}

function isAt(page: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index += 1) if (page[at + index] !== text[index]) return false;
  return true;
}

function behindBlanks(page: Uint8Array, from: number): number {
  let at = from;
  for (let byte = page[at]; byte === SPACE || byte === 10 || byte === 13 || byte === 9; byte = page[at])
    at += 1;
  return at;
}

/** Behind one of these elements, which hold text alone; -1 where none is there. */
function behindOneOf(page: Uint8Array, from: number, elements: readonly Plain[]): number {
  for (const { open, close } of elements) {
    if (!isAt(page, from, open)) continue;
    let at = from + open.length;
    while (at < page.length && page[at] !== LESS) at += 1;
    return isAt(page, at, close) ? at + close.length : -1;
  }
  return -1;
}

function behindOwner(page: Uint8Array, from: number): number {
  let at = behindBlanks(page, from);
  while (at >= 0 && !isAt(page, at, OWNER_END)) {
    at = behindOneOf(page, at, UNUSED_OF_OWNER);
    if (at >= 0) at = behindBlanks(page, at);
  }
  return at < 0 ? -1 : at + OWNER_END.length;
}

/** So far below zero that two digits stay below it whatever the other one is. */
const NO_DIGIT = -1_000;

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return NO_DIGIT;
  if (byte >= 48 && byte <= 57) return byte - 48;
  if (byte >= 65 && byte <= 70) return byte - 55;
  return byte >= 97 && byte <= 102 ? byte - 87 : NO_DIGIT;
}

function compare(left: Uint8Array, leftBytes: number, right: Uint8Array, rightBytes: number): number {
  const shared = Math.min(leftBytes, rightBytes);
  for (let at = 0; at < shared; at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return leftBytes - rightBytes;
}
