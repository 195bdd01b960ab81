/**
 * The least that a copier with proof can do: sha256 of the bytes, object by object, in a process of its own.
 *     node bench/floors/hash-floor.ts SIZES
 * SIZES is a file with the size of each object on a line.
 */
import { createHash, hash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PIECE = Buffer.alloc(1024 ** 2, 7);

const [file = ''] = process.argv.slice(2);
for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
  const size = Number(line);
  if (size <= PIECE.length) {
    hash('sha256', PIECE.subarray(0, size), 'hex');
    continue;
  }
  const digest = createHash('sha256');
  for (let left = size; left > 0; left -= PIECE.length) {
    digest.update(left < PIECE.length ? PIECE.subarray(0, left) : PIECE);
  }
  digest.digest('hex');
}
