/**
 * The least that a copier with proof can do: sha256 of the bytes, object by object, in a process of its own; or their
 * CRC-32, which parts are bound by.
 *     node bench/floors/hash-floor.ts SIZES [crc32]
 * SIZES is a file with the size of each object on a line.
 */
import { createHash, hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';

const PIECE = Buffer.alloc(1024 ** 2, 7);

const [file = '', mode = 'sha256'] = process.argv.slice(2);
const sizes = readFileSync(file, 'utf8').trim().split('\n').map(Number);
for (const size of sizes) {
  if (mode === 'crc32') sum(size);
  else digest(size);
}

function sum(size: number): void {
  let value = 0;
  for (let left = size; left > 0; left -= PIECE.length) {
    value = crc32(left < PIECE.length ? PIECE.subarray(0, left) : PIECE, value);
  }
}

function digest(size: number): void {
  if (size <= PIECE.length) {
    hash('sha256', PIECE.subarray(0, size), 'hex');
    return;
  }
  const hasher = createHash('sha256');
  for (let left = size; left > 0; left -= PIECE.length) {
    hasher.update(left < PIECE.length ? PIECE.subarray(0, left) : PIECE);
  }
  hasher.digest('hex');
}
