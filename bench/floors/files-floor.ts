/**
 * The least that a copier from or to a file system can do: open, read (or write) and close each file, in a process of
 * its own.
 *     node bench/floors/files-floor.ts read|write FOLDER SIZES
 * SIZES is a file with the size and the path of each file on a line. Folders are made when the writing begins, as the
 * figure is about files.
 */
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const BUFFER = Buffer.alloc(1024 ** 2, 7);

const [mode = '', folder = '', list = ''] = process.argv.slice(2);
for (const line of readFileSync(list, 'utf8').trim().split('\n')) {
  const blank = line.indexOf(' ');
  const size = Number(line.slice(0, blank));
  const file = join(folder, line.slice(blank + 1));
  if (mode === 'read') read(file, size);
  else write(file, size);
}

function read(file: string, size: number): void {
  const descriptor = openSync(file, 'r');
  for (let left = size; left > 0; ) {
    const bytes = readSync(descriptor, BUFFER);
    if (bytes === 0) throw new Error(`${file} is shorter than ${size} bytes`);
    left -= bytes;
  }
  closeSync(descriptor);
}

function write(file: string, size: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const descriptor = openSync(file, 'w');
  for (let left = size; left > 0; )
    left -= writeSync(descriptor, left < BUFFER.length ? BUFFER.subarray(0, left) : BUFFER);
  closeSync(descriptor);
}
