/**
 * HMAC-SHA256 (RFC 2104) with one key and many short texts: two one-shot hashes over memory that is kept. An `Hmac`
 * object of Node's own for every text costs two to three times as much, most of it for the object.
 */
import { hash } from 'node:crypto';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

export class HmacSha256 {
  /** The key's inner pad, and behind it the text. */
  #inner: Buffer;
  /** The key's outer pad, and behind it the inner digest. */
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c);

  /** @throws RangeError for a key longer than a block. */
  constructor(key: Uint8Array) {
    if (key.length > BLOCK_BYTES) throw new RangeError(`A key of ${key.length} bytes is longer than a block`);
    this.#inner = Buffer.alloc(8 * BLOCK_BYTES, 0x36);
    for (const [at, byte] of key.entries()) {
      this.#inner[at] = byte ^ 0x36;
      this.#outer[at] = byte ^ 0x5c;
    }
  }

  /** @returns lower-case hex. */
  hex(text: string): string {
    return this.#sign(text, 'hex');
  }

  base64(text: string): string {
    return this.#sign(text, 'base64');
  }

  #sign(text: string, encoding: 'hex' | 'base64'): string {
    // No UTF-16 unit takes more than three bytes of UTF-8.
    const bytesMax = BLOCK_BYTES + 3 * text.length;
    if (bytesMax > this.#inner.length) this.#inner = Buffer.concat([this.#inner], bytesMax);
    const end = BLOCK_BYTES + this.#inner.write(text, BLOCK_BYTES, 'utf8');
    const digest = hash('sha256', this.#inner.subarray(0, end), 'hex');
    this.#outer.write(digest, BLOCK_BYTES, 'hex');
    return hash('sha256', this.#outer, encoding);
  }
}
