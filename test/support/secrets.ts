/** Looks for secrets in what a program leaves behind, in the forms in which they get there. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Latin-1, so that raw bytes of any file can be searched. @returns the forms found, none of which may be there. */
export function secretsFoundIn(text: string, secrets: readonly string[]): readonly string[] {
  const lower = text.toLowerCase();
  return secrets.flatMap((secret) =>
    Object.entries(formsOf(secret))
      .filter(([, form]) => lower.includes(form.toLowerCase()))
      .map(([name]) => `${secret} (${name})`),
  );
}

/** Every file below a folder, raw; nothing where there is no such folder. */
export async function textBelow(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(files.map((file) => readFile(file, 'latin1')));
  return [...files, ...texts].join('\n');
}

function formsOf(secret: string): Readonly<Record<string, string>> {
  const bytes = Buffer.from(secret);
  return {
    plain: secret,
    'URL-encoded': encodeURIComponent(secret),
    'JSON-encoded': JSON.stringify(secret).slice(1, -1),
    hex: bytes.toString('hex'),
    base64: base64Inside(bytes, 0),
    'base64 behind one byte': base64Inside(bytes, 1),
    'base64 behind two bytes': base64Inside(bytes, 2),
    // A piece of it is as bad, such as a parser's excerpt.
    half: secret.slice(0, Math.ceil(secret.length / 2)),
    'other half': secret.slice(Math.floor(secret.length / 2)),
  };
}

/** What of the base64 of a longer text depends on these bytes alone. */
function base64Inside(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const from = offset === 0 ? 0 : 4;
  return encoded.slice(from, Math.floor((offset + bytes.length) / 3) * 4);
}
