/** Proper HTTP/1.1 answers of every framing, generated. */
import fc from 'fast-check';

export interface AnswerModel {
  readonly interims: readonly number[];
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly framing: 'length' | 'chunked' | 'close';
  readonly body: string;
  readonly chunkBytes: number;
  readonly extension: string;
  readonly trailers: number;
  readonly isUpper: boolean;
}

const latin1 = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
const headerText = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);

export const anyAnswer: fc.Arbitrary<AnswerModel> = fc.record({
  interims: fc.array(fc.constantFrom(100, 102, 103), { maxLength: 3 }),
  status: fc.constantFrom(200, 206, 400, 403, 404, 500, 503),
  headers: fc.array(
    fc.tuple(
      token.map((name) => `x-${name}`),
      headerText,
    ),
    { maxLength: 6 },
  ),
  framing: fc.constantFrom('length' as const, 'chunked' as const, 'close' as const),
  body: latin1,
  chunkBytes: fc.integer({ min: 1, max: 400 }),
  extension: fc.constantFrom('', ';a', ';a=b', ' ;x="y z"', '  '),
  trailers: fc.integer({ min: 0, max: 3 }),
  isUpper: fc.boolean(),
});

export function encodeAnswer(one: AnswerModel): string {
  const interims = one.interims.map((status) => `HTTP/1.1 ${status} Wait\r\nX-I: 1\r\n\r\n`).join('');
  const headers = one.headers.map(
    ([name, value]) => `${one.isUpper ? name.toUpperCase() : name}: ${value}\r\n`,
  );
  const head = `${interims}HTTP/1.1 ${one.status} Reason\r\n${headers.join('')}`;
  if (one.framing === 'close') return `${head}\r\n${one.body}`;
  if (one.framing === 'length') return `${head}Content-Length: ${one.body.length}\r\n\r\n${one.body}`;
  const chunks: string[] = [];
  for (let at = 0; at < one.body.length; at += one.chunkBytes) {
    const chunk = one.body.slice(at, at + one.chunkBytes);
    const size = chunk.length.toString(16);
    chunks.push(`${one.isUpper ? size.toUpperCase() : size}${one.extension}\r\n${chunk}\r\n`);
  }
  const trailers = Array.from({ length: one.trailers }, (_, index) => `X-T${index}: v\r\n`).join('');
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0${one.extension}\r\n${trailers}\r\n`;
}
